#!/usr/bin/env bash
# Removes a lab: its containers with their volumes, its firewall rules, and its files. Another lab is not touched.
#
#   down.sh [--id ID]      the lab of that id (default: the one that follows from the checkout's path)
#   down.sh --all          every lab on this machine, leftovers too
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

id=$(default_lab_id)
case ${1:-} in
  '') ;;
  --id) id=${2:?--id takes a name} ;;
  --all) id= ;;
  *) fail "unknown option \`$1\`; usage: down.sh [--id ID | --all]" ;;
esac
[[ -z $id ]] || check_lab_id "$id"

need_engine
began=$(now)
"$lab_folder/faults.sh" heal ${id:+"$id"}
mapfile -t containers < <(docker ps --all --quiet --filter "label=$label${id:+=$id}")
if ((${#containers[@]})); then
  docker rm --force --volumes "${containers[@]}" >/dev/null
fi
rm -rf "${cache:?}/labs/$id"
say "${id:-every lab}: ${#containers[@]} hosts removed in $(seconds_since "$began") s"
