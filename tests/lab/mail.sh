#!/usr/bin/env bash
# Fetches aiosmtpd, the mail server of the trials of `notify:`, with the ordinary pip, and prints the folder that its wheels are in. They
# are pure Python, and are imported as they are.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make() { # FOLDER
  cat >"$1/requirements.txt" <<'END'
aiosmtpd==1.4.6 --hash=sha256:72c99179ba5aa9ae0abbda6994668239b64a5ce054471955fe75f581d2592475
atpublic==9.0.0 --hash=sha256:449c3c4f0c74df79749d6fe225ba55e2a2fce34b303f0329211e4d6989ed6f6e
attrs==26.1.0 --hash=sha256:c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309
END
  timeout 300 python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.11 --dest "$1/made" --requirement "$1/requirements.txt" >&2 || fail "pip could not fetch aiosmtpd"
}

sum=$(sha256sum <"${BASH_SOURCE[0]}")
kept "$cache/mail-${sum:0:12}" make
