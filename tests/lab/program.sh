#!/usr/bin/env bash
# Fetches a program for lab hosts out of a package of Debian, and prints where it lies. It must need nothing that a host lacks: those
# written in Go need the C library, and so one serves hosts of every suite. Nothing is installed here.
#
#   program.sh PACKAGE PATH-IN-IT
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
package=${1:?program.sh takes a package} path=${2:?program.sh takes a path in it}

fetch() { # FOLDER
  (cd "$1" && timeout 300 apt-get --quiet=2 download "$package" >&2 && dpkg-deb --extract "${package}"_*.deb files)
}

make() { # FOLDER
  chmod 755 "$1"
  fetch "$1" || { is_root && timeout 300 apt-get --quiet=2 update >&2 && fetch "$1"; } \
    || fail "apt-get could not fetch the package $package"
  mv "$1/files/$path" "$1/made"
}

kept "$cache/$package-$(uname -m)" make
