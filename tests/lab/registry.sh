#!/usr/bin/env bash
# Fetches an image registry for lab hosts, the `docker-registry` of Debian, and prints where the program lies. It needs nothing but
# the C library, so one serves hosts of every suite. Nothing is installed here.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fetch() { # FOLDER
  (cd "$1" && timeout 300 apt-get --quiet=2 download docker-registry >&2 && dpkg-deb --extract docker-registry_*.deb files)
}

make() { # FOLDER
  chmod 755 "$1"
  fetch "$1" || { is_root && timeout 300 apt-get --quiet=2 update >&2 && fetch "$1"; } \
    || fail "apt-get could not fetch the package docker-registry"
  mv "$1/files/usr/bin/docker-registry" "$1/made"
}

kept "$cache/docker-registry-$(uname -m)" make
