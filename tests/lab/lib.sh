# shellcheck shell=bash
# What the lab's scripts share: where things are kept, how they speak, and how they wait.
# Sourced by the scripts beside it; it does nothing by itself, so shellcheck sees names here that nobody reads.
# shellcheck disable=SC2034

lab_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$lab_folder/../.." && pwd)

# The cache lies outside the repository, so that `git clean` and a fresh clone keep it warm.
cache=${PORTOSER_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portoser-lab}

# A caller counts this exit code as "skipped": the machine lacks something that only its owner can give.
# It is the code by which automake's and Meson's test runners know a skip.
skipped_exit=77

# Every container and firewall rule of ours carries this word, and the lab's id behind it.
label=portoser.lab

say() { printf 'lab: %s\n' "$*" >&2; }

fail() {
  printf 'lab: error: %s\n' "$*" >&2
  exit 1
}

# Seconds since the epoch with a fraction, from the shell itself: no process is started for it.
now() { printf '%s' "$EPOCHREALTIME"; }

seconds_since() {
  local microseconds=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
  printf '%d.%d' $((microseconds / 1000000)) $((microseconds % 1000000 / 100000))
}

# wait_until SECONDS WHAT COMMAND...: repeats the command until it succeeds. Fails with a message that names
# what was waited for and for how long.
wait_until() {
  local deadline=$((SECONDS + $1)) patience=$1 what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      say "waited ${patience} s for ${what}, in vain"
      return 1
    fi
    sleep 0.1
  done
}

# kept FILE COMMAND: prints this file or folder of the cache, which is made if it is missing: the command gets an empty folder, and
# leaves there as `made` what is kept. Two that ask at once get the same.
kept() {
  local part
  mkdir -p "$(dirname "$1")"
  exec 9>"$1.lock"
  flock --wait 300 9 || fail "waited 300 s for another that makes $1"
  if [[ ! -e $1 ]]; then
    part=$(mktemp -d "$1.part-XXXXXX")
    # shellcheck disable=SC2064  # The folder is the one of now.
    trap "rm -rf '$part'" EXIT
    "$2" "$part"
    mv "$part/made" "$1"
  fi
  printf '%s\n' "$1"
}

sshd_answers() { # ADDRESS PORT
  local banner
  # A shell of its own, with a deadline: a stuck host accepts and says nothing.
  # shellcheck disable=SC2016  # That shell reads $0 and $1.
  banner=$(timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && head -c 4 <&3' "$1" "$2" 2>/dev/null) || return 1
  [[ $banner == SSH- ]]
}

has() { command -v "$1" >/dev/null 2>&1; }

is_root() { [[ $EUID -eq 0 ]]; }

# An engine that hangs must not hang us. Its own words about why it does not answer would name a socket, not a way out.
need_engine() {
  timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1 && return
  say "no Docker engine answers for $(id -un); make one answer: $lab_folder/engine.sh"
  exit "$skipped_exit"
}

# A lab's id names its containers, so two checkouts on one machine get two labs.
default_lab_id() {
  local sum
  sum=$(printf '%s' "$repository" | sha256sum)
  printf 'lab-%s' "${sum:0:8}"
}

check_lab_id() {
  [[ $1 =~ ^[a-z][a-z0-9-]{0,30}$ ]] || fail "\`$1\` is not a lab id: use a-z, 0-9 and \`-\`, start with a letter, at most 31"
}

# json_string TEXT: TEXT as a JSON string. Control characters do not occur in what the lab writes.
json_string() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}
