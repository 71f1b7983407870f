#!/usr/bin/env bash
# Fetches the Python packages that trials install, with the ordinary pip, and prints the folder that they are kept in: its `files`
# and, as an index has them, `simple/NAME/`. The one list of them is the trial's own uv.lock; hashes are those that it names.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
lock=$repository/tests/it/lab/fastapi/uv.lock

# name==version --hash=..., for what is in an index. The lock keeps only wheels that some host of the lab can use.
requirements() {
  awk -F '"' '/^name = /{ name = $2 } /^version = /{ version = $2 }
    match($0, /sha256:[0-9a-f]+/) { hashes[name "==" version] = hashes[name "==" version] " --hash=" substr($0, RSTART, RLENGTH) }
    END { for (one in hashes) print one hashes[one] }' "$lock"
}

fetch() { # PYTHON-VERSION FOLDER
  local machine
  machine=$(uname -m)
  timeout 300 python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version "$1" --platform "manylinux2014_$machine" --platform "manylinux_2_17_$machine" \
    --dest "$2/made/files" --requirement "$2/requirements.txt" >&2 || fail "pip could not fetch the packages of $lock"
}

make() { # FOLDER
  local file name
  requirements >"$1/requirements.txt"
  mkdir -m 755 "$1/made"
  # One for each Python of the lab's hosts.
  fetch 3.11 "$1"
  fetch 3.13 "$1"
  for file in "$1"/made/files/*.whl; do
    file=${file##*/}
    name=${file%%-*}
    mkdir -p "$1/made/simple/${name//_/-}"
    printf '<a href="/files/%s">%s</a><br>\n' "$file" "$file" >>"$1/made/simple/${name//_/-}/index.html"
  done
}

sum=$(cat "$lock" "${BASH_SOURCE[0]}" | sha256sum)
kept "$cache/packages-${sum:0:12}-$(uname -m)" make
