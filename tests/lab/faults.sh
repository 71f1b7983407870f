#!/usr/bin/env bash
# Makes something go wrong on a lab host, and right again. Each fault has its undo, and doing either twice is harmless.
#
#   faults.sh pause CONTAINER            the host hangs: it accepts connections and says nothing
#   faults.sh unpause CONTAINER
#   faults.sh cut CONTAINER              the link is dead: packets both ways vanish, open connections included
#   faults.sh join CONTAINER
#   faults.sh refuse CONTAINER           new connections are refused, open ones are reset
#   faults.sh accept CONTAINER
#   faults.sh lose CONTAINER             there is no way to the host, as the network says
#   faults.sh find CONTAINER
#   faults.sh fill CONTAINER FOLDER      the disk of FOLDER is full: 1 MiB of tmpfs over it, no byte left
#   faults.sh empty CONTAINER FOLDER
#   faults.sh exhaust CONTAINER FOLDER   FOLDER has bytes but no inodes left
#   faults.sh freeze CONTAINER FOLDER    FOLDER is read-only
#   faults.sh thaw CONTAINER FOLDER
#   faults.sh off CONTAINER              the host is switched off in good order
#   faults.sh on CONTAINER               and on again; ends when sshd answers
#   faults.sh rekey CONTAINER            the host answers with other host keys
#   faults.sh unrekey CONTAINER
#   faults.sh heal [LAB]                 undoes every cut, refusal and pause of one lab, or of all
#
# The clock cannot be set here: containers share the kernel's. `fill`, `exhaust` and `freeze` cover what lies in FOLDER
# for whoever looks from now on; a process that has a file open there keeps it. `empty` undoes the first two.
#
# shellcheck disable=SC2016  # Scripts in single quotes are for the shell in the container; its $1 is the folder.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

usage() { fail "usage: faults.sh FAULT CONTAINER [FOLDER]; the head of $0 lists the faults"; }

# Rules carry the lab's id as a comment, so that what a killed test leaves can be found and removed.
rule_comment() { printf 'portoser-lab=%s' "$1"; }

where() { # CONTAINER: its lab's id, address and port
  local found
  found=$(docker inspect --format "{{index .Config.Labels \"$label\"}} {{index .Config.Labels \"$label.address\"}}" "$1" 2>/dev/null) || found=
  [[ $found == ?*' '?*:?* ]] || fail "\`$1\` is not a lab host"
  printf '%s' "${found/:/ }"
}

# The port is published on a loopback address: a packet there is ours, and no other machine can notice.
each_rule() { # DIRECTION (both, in), iptables' verb (-I, -D, -C), CONTAINER, TARGET...
  local direction=$1 verb=$2 place lab address port common
  place=$(where "$3") || exit
  read -r lab address port <<<"$place"
  shift 3
  common=(--match comment --comment "$(rule_comment "$lab")" --jump "$@")
  iptables --wait 10 "$verb" INPUT --protocol tcp --destination "$address" --dport "$port" "${common[@]}" || return
  [[ $direction == in ]] \
    || iptables --wait 10 "$verb" INPUT --protocol tcp --source "$address" --sport "$port" "${common[@]}"
}

block_with() { # DIRECTION CONTAINER TARGET...
  is_root || fail "to cut or refuse connections takes root (inventory: \`firewall\`)"
  each_rule "$1" -C "${@:2}" 2>/dev/null || each_rule "$1" -I "${@:2}"
}

unblock_with() { # DIRECTION CONTAINER TARGET...
  is_root || fail "to cut or refuse connections takes root (inventory: \`firewall\`)"
  while each_rule "$1" -C "${@:2}" 2>/dev/null; do
    each_rule "$1" -D "${@:2}"
  done
}

inside() { # CONTAINER SCRIPT WORD...: a shell script as root in the container
  local container=$1 script=$2
  shift 2
  docker exec --user 0 "$container" /bin/sh -euc "$script" sh "$@"
}

read_keys_again() { # CONTAINER
  local place address port
  place=$(where "$1") || exit
  read -r _ address port <<<"$place"
  inside "$1" 'kill -HUP "$(cat /run/sshd.pid)"'
  wait_until 10 "sshd of $1 to listen again" sshd_answers "$address" "$port"
}

heal() { # [LAB]
  local filter=$label${1:+=$1} rule container
  while read -r container; do
    docker unpause "$container" >/dev/null 2>&1 || true
  done < <(docker ps --quiet --filter "label=$filter" --filter status=paused)
  # Only root can have made rules, so only root has any to remove.
  if is_root && has iptables; then
    while read -ra rule; do
      # The rule in iptables' own words, with -D for its -A. No word of ours needs a quote.
      iptables --wait 10 -D "${rule[@]:1}"
    done < <(iptables --wait 10 -S INPUT 2>/dev/null | grep -E -- "--comment \"?portoser-lab=${1:-[^ ]*}\"? " | tr -d '"' || true)
  fi
}

fault=${1:-}
[[ -n $fault ]] || usage
shift
if [[ $fault == heal ]]; then
  heal "$@"
  exit
fi
container=${1:-} folder=${2:-}
[[ -n $container ]] || usage
where "$container" >/dev/null
case $fault in
  fill | empty | exhaust | freeze | thaw) [[ $folder == /* ]] || usage ;;
esac

case $fault in
  pause) docker pause "$container" >/dev/null 2>&1 || [[ $(docker inspect --format '{{.State.Paused}}' "$container") == true ]] ;;
  unpause) docker unpause "$container" >/dev/null 2>&1 || [[ $(docker inspect --format '{{.State.Paused}}' "$container") == false ]] ;;
  cut) block_with both "$container" DROP ;;
  join) unblock_with both "$container" DROP ;;
  # One way only: the answer, a reset, must get through.
  refuse) block_with in "$container" REJECT --reject-with tcp-reset ;;
  accept) unblock_with in "$container" REJECT --reject-with tcp-reset ;;
  lose) block_with in "$container" REJECT --reject-with icmp-host-unreachable ;;
  find) unblock_with in "$container" REJECT --reject-with icmp-host-unreachable ;;
  # What is in the folder stays visible, as on a real full disk: it is copied in before the rest is filled up.
  fill)
    inside "$container" '
      mkdir -p "$1"
      ! grep -q "^portoser-lab-fault $1 " /proc/mounts || exit 0
      mode=$(stat -c %a "$1") owner=$(stat -c %u:%g "$1") used=$(du -sk "$1" | cut -f 1)
      stage=/run/portoser-lab-fault; mkdir -p "$stage"
      mount -t tmpfs -o "size=$((used + 1024))k" portoser-lab-fault "$stage"
      cp -a "$1/." "$stage/"; chmod "$mode" "$stage"; chown "$owner" "$stage"
      cat /dev/zero >"$stage/.filler" 2>/dev/null || true
      mount --bind "$stage" "$1"; umount "$stage"' "$folder"
    ;;
  exhaust)
    inside "$container" '
      mkdir -p "$1"
      ! grep -q "^portoser-lab-fault $1 " /proc/mounts || exit 0
      mode=$(stat -c %a "$1") owner=$(stat -c %u:%g "$1") files=$(find "$1" | wc -l)
      stage=/run/portoser-lab-fault; mkdir -p "$stage"
      mount -t tmpfs -o "nr_inodes=$((files + 64))" portoser-lab-fault "$stage"
      cp -a "$1/." "$stage/"; chmod "$mode" "$stage"; chown "$owner" "$stage"
      number=0; while touch "$stage/.filler$number" 2>/dev/null; do number=$((number + 1)); done
      mount --bind "$stage" "$1"; umount "$stage"' "$folder"
    ;;
  empty) inside "$container" 'while grep -q "^portoser-lab-fault $1 " /proc/mounts; do umount -l "$1"; done' "$folder" ;;
  freeze)
    inside "$container" '
      mkdir -p "$1"
      ! grep -q "^[^ ]* $1 [^ ]* ro[, ]" /proc/mounts || exit 0
      mount --bind "$1" "$1"
      mount -o remount,bind,ro "$1"' "$folder"
    ;;
  thaw) inside "$container" 'while grep -q "^[^ ]* $1 [^ ]* ro[, ]" /proc/mounts; do umount -l "$1"; done' "$folder" ;;
  # Its programs end as they do on a real host; its memory is gone, its disk stays.
  off) docker stop --time 30 "$container" >/dev/null ;;
  on)
    docker start "$container" >/dev/null
    read -r _ address port <<<"$(where "$container")"
    wait_until 60 "sshd of $container to answer" sshd_answers "$address" "$port"
    ;;
  rekey)
    inside "$container" '
      test ! -d /etc/ssh/before || exit 0
      mkdir /etc/ssh/before; mv /etc/ssh/ssh_host_* /etc/ssh/before/
      ssh-keygen -A >/dev/null'
    read_keys_again "$container"
    ;;
  unrekey)
    inside "$container" 'test ! -d /etc/ssh/before || { rm /etc/ssh/ssh_host_*; mv /etc/ssh/before/* /etc/ssh/; rmdir /etc/ssh/before; }'
    read_keys_again "$container"
    ;;
  *) usage ;;
esac
