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
    --dest "$2/files" --requirement "$2/requirements.txt" >&2 || fail "pip could not fetch the packages of $lock"
}

main() {
  local sum folder part file name
  sum=$(cat "$lock" "${BASH_SOURCE[0]}" | sha256sum)
  folder=$cache/packages-${sum:0:12}-$(uname -m)
  mkdir -p "$cache"
  exec 9>"$cache/packages.lock"
  flock --wait 300 9 || fail "waited 300 s for another packages.sh"
  if [[ ! -e $folder ]]; then
    part=$(mktemp -d "$cache/packages.part-XXXXXX")
    # shellcheck disable=SC2064  # The folder is the one of now.
    trap "rm -rf '$part'" EXIT
    requirements >"$part/requirements.txt"
    # One for each Python of the lab's hosts.
    fetch 3.11 "$part"
    fetch 3.13 "$part"
    for file in "$part"/files/*.whl; do
      file=${file##*/}
      name=${file%%-*}
      mkdir -p "$part/simple/${name//_/-}"
      printf '<a href="/files/%s">%s</a><br>\n' "$file" "$file" >>"$part/simple/${name//_/-}/index.html"
    done
    chmod 755 "$part"
    mv "$part" "$folder"
  fi
  printf '%s\n' "$folder"
}

main
