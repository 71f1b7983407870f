#!/usr/bin/env bash
# The whole fault lab in one run: every fault of tests/lab/faults/, on hosts of its own, injected, named, healed and undone; and
# its report, as the last lines. Takes about half an hour. Words pick faults by parts of their names.
#
#   fault-lab.sh [WORD...]
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

id=faults-$$
folder=$(mktemp -d)
trap '"$lab_folder/down.sh" --id "$id" >/dev/null 2>&1 || true; rm -r "$folder"' EXIT
"$lab_folder/up.sh" --id "$id" --hosts bookworm=1,trixie=1,trixie-docker=1 --inventory "$folder/inventory.json"

export PORTOSER_LAB=$folder/inventory.json PORTOSER_LAB_FULL=1 PORTOSER_FAULT_LAB=1
if (($#)); then
  words=$(IFS=,; printf '%s' "$*")
  export PORTOSER_FAULT=$words
fi
cd "$repository"
cargo test --test it -- lab::heal_names_the_roots_of_faults --nocapture
