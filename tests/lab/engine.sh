#!/usr/bin/env bash
# Installs what the lab and the tests need, and starts a Docker engine when none answers.
# Exits with 77, after saying what to install or to start, when this takes rights that the caller does not have.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The one list of what a machine needs beside a Rust toolchain. Each line: a command that shows whether it is there,
# and the Debian packages it comes with.
needs() {
  cat <<'LIST'
docker            docker.io
dockerd           docker.io
debootstrap       debootstrap
iptables          iptables
ssh               openssh-client
ssh-keygen        openssh-client
ssh-agent         openssh-client
sshd              openssh-server
sudo              sudo
openssl           openssl
unshare           util-linux
ip                iproute2
ss                iproute2
ps                procps
busybox           busybox
dash              dash
tcsh              tcsh
fish              fish
zsh               zsh
ksh               ksh
zstd              zstd
gzip              gzip
tar               tar
flock             util-linux
python3           python3
pip3              python3-pip
git               git
cc                gcc libc6-dev
c++               g++
shellcheck        shellcheck
LIST
}

# Package keys that debootstrap checks the suites against. A machine with another Debian-like system may lack them.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# sshd and others live in sbin, which a plain user's PATH may not name.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing_packages() {
  local command packages
  {
    while read -r command packages; do
      has "$command" || tr ' ' '\n' <<<"$packages"
    done < <(needs)
    [[ -e $keyring ]] || printf 'debian-archive-keyring\n'
  } | sort -u
}

install_missing() {
  local packages
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]})) || return 0
  has apt-get || {
    say "this machine lacks ${packages[*]} (Debian's names for them), and has no apt-get to install them with"
    exit "$skipped_exit"
  }
  is_root || {
    say "this machine lacks ${packages[*]}; install them: sudo apt-get install --no-install-recommends ${packages[*]}"
    exit "$skipped_exit"
  }
  say "installing ${packages[*]}"
  mkdir -p "$cache"
  local log=$cache/apt.log
  keep_sshd_quiet
  # A package list that was never fetched, or that is too old to name files that still exist, fails here; so fetch first.
  if ! { apt-get update && apt_install "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install ${packages[*]}; its whole output is in $log"
  fi
}

# Installing openssh-server on a machine with systemd starts it, and on every start of the machine again. The tests only
# want its program; a machine must not begin to listen because somebody ran them.
keep_sshd_quiet() {
  if ! has sshd && [[ -d /run/systemd/system ]]; then
    say "masking ssh.service and ssh.socket, so that installing openssh-server opens no port (undo: systemctl unmask ssh.service ssh.socket)"
    systemctl mask ssh.service ssh.socket >/dev/null 2>&1 || true
  fi
}

# Where its own unit never ran, sshd misses the folder that its unprivileged half is shut into.
make_privsep_folder() {
  if is_root; then
    mkdir -p /run/sshd
  fi
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

engine_answers() { docker version --format '{{.Server.Version}}'; }

start_engine() {
  if timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
    return
  fi
  is_root || {
    say "no Docker engine answers for $(id -un); start one (sudo systemctl start docker) and join its group (sudo usermod -aG docker $(id -un)), or run as root"
    exit "$skipped_exit"
  }
  [[ -z ${DOCKER_HOST:-} ]] || fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
  local log=$cache/dockerd.log
  mkdir -p "$cache"
  say "starting a Docker engine; its log is $log"
  # Its own session, so that it outlives this script and a Ctrl-C does not reach it; no descriptor of ours stays
  # open in it, or whoever reads our output would wait for it forever.
  setsid dockerd >"$log" 2>&1 </dev/null 9>&- &
  local engine=$!
  if ! wait_until 60 "the Docker engine to answer" engine_answers; then
    tail -n 20 "$log" >&2
    kill "$engine" 2>/dev/null || true
    fail "the Docker engine did not start; its log is $log"
  fi
}

install_missing
make_privsep_folder
start_engine
say "Docker engine $(docker version --format '{{.Server.Version}}') answers"
