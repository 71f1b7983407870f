#!/usr/bin/env bash
# Fetches an image registry for lab hosts, the `docker-registry` of Debian, and prints where the program lies. It needs nothing but
# the C library, so one serves hosts of every suite. Nothing is installed here.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fetch() { # FOLDER
  (cd "$1" && timeout 300 apt-get --quiet=2 download docker-registry >&2 && dpkg-deb --extract docker-registry_*.deb files)
}

main() {
  local program part
  program=$cache/docker-registry-$(uname -m)
  mkdir -p "$cache"
  exec 9>"$cache/docker-registry.lock"
  flock --wait 300 9 || fail "waited 300 s for another registry.sh"
  if [[ ! -x $program ]]; then
    part=$(mktemp -d "$cache/docker-registry.part-XXXXXX")
    # shellcheck disable=SC2064  # The folder is the one of now.
    trap "rm -rf '$part'" EXIT
    chmod 755 "$part"
    fetch "$part" || { is_root && timeout 300 apt-get --quiet=2 update >&2 && fetch "$part"; } \
      || fail "apt-get could not fetch the package docker-registry"
    mv "$part/files/usr/bin/docker-registry" "$program"
  fi
  printf '%s\n' "$program"
}

main
