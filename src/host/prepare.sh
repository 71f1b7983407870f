# Tells what a host lacks, or brings it: look|do THING... A thing is base:PATH, user:NAME, python:VERSION, uv, docker or compose.
# What is there already is left as it is.
LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL DEBIAN_FRONTEND PATH
umask 022

is() { command -v "$1" >/dev/null 2>&1; }

manager=none
for tool in apt-get apk dnf zypper pacman brew; do
  ! is "$tool" || { manager=$tool; break; }
done

has() { # THING
  case $1 in
  base:*) [ -d "$(base "$1")" ] ;;
  user:*) id "${1#user:}" >/dev/null 2>&1 ;;
  python:*) is uv || { find_python "${1#python:}" && "$python" -c 'import venv, ensurepip' 2>/dev/null; } ;;
  docker) is docker ;;
  compose) docker compose version >/dev/null 2>&1 || is docker-compose ;;
  *) is "$1" ;;
  esac
}

base() { # THING: its path; by default as the look has it
  set -- "${1#base:}"
  if [ -n "$1" ]; then printf '%s\n' "$1"
  elif [ "$(id -u)" = 0 ]; then printf '/opt/portoser\n'
  else printf '%s\n' "$HOME/.local/share/portoser"; fi
}

find_python() { # VERSION: sets $python
  for python in "python$1" python3 python; do
    told=$("$python" --version 2>&1) || continue
    case $told in "Python ${1:-3}."*) return 0 ;; esac
  done
  return 1
}

by_root() { # WHAT
  [ "$(id -u)" = 0 ] || { echo "$1 by root only: set \`become: sudo\`"; return 1; }
}

update() { # lists that were never fetched, or are old, name packages that are gone
  by_root "packages can be installed" || return
  [ -n "$fresh" ] || { apt-get update -q && fresh=yes; }
}

offers() { # PACKAGE, by the lists
  apt-cache show "$1" 2>/dev/null | grep -q '^Package:'
}

install() { # PACKAGE...
  by_root "packages can be installed" || return
  case $manager in
  apt-get) update && apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" ;;
  apk) apk add "$@" ;;
  dnf) dnf install -y "$@" ;;
  zypper) zypper --non-interactive install "$@" ;;
  pacman) pacman -S --needed --noconfirm "$@" ;;
  *) echo "no package manager that is known here (apt-get, apk, dnf, zypper, pacman)"; return 1 ;;
  esac
}

bring_user() { # NAME: one that owns a service's data and cannot log in
  by_root "users can be made" || return
  if is useradd; then useradd --system --user-group --no-create-home --home-dir /nonexistent --shell "$(nologin)" "$1"
  elif is adduser; then adduser -S -D -H -s "$(nologin)" "$1"
  else echo "neither useradd nor adduser is here"; return 1; fi
}

nologin() {
  for shell in /usr/sbin/nologin /sbin/nologin; do [ ! -x "$shell" ] || break; done
  printf '%s\n' "$shell"
}

bring_uv() { # from the distribution where it has it, else from the package index into a place of its own
  case $manager in apk | dnf | zypper | pacman) install uv && return ;; esac
  find_python '' && "$python" -c 'import venv, ensurepip' 2>/dev/null || bring_python || return
  find_python '' || return
  if [ "$(id -u)" = 0 ]; then at=/opt/uv bin=/usr/local/bin
  else at=$HOME/.local/lib/uv bin=$HOME/.local/bin; fi
  "$python" -m venv "$at" && "$at/bin/python" -m pip install --quiet --no-input --disable-pip-version-check uv &&
    mkdir -p "$bin" && ln -sf "$at/bin/uv" "$bin/uv"
}

bring_python() {
  case $manager in
  apt-get) install python3 python3-venv ;;
  pacman) install python ;;
  *) install python3 ;;
  esac
}

bring_docker() {
  case $manager in
  # One package until Debian 12.
  apt-get) update || return; if offers docker-cli; then install docker.io docker-cli; else install docker.io; fi ;;
  dnf) install moby-engine || install docker ;;
  *) install docker ;;
  esac || return
  if [ -d /run/systemd/system ]; then systemctl enable --now docker
  elif is rc-update; then rc-update add docker default && rc-service docker start; fi
}

bring_compose() {
  case $manager in
  apt-get) update || return; if offers docker-compose-v2; then install docker-compose-v2; else install docker-compose; fi ;;
  apk) install docker-cli-compose ;;
  *) install docker-compose ;;
  esac
}

bring() { # THING
  case $1 in
  base:*) mkdir -p -- "$(base "$1")" ;;
  user:*) bring_user "${1#user:}" ;;
  python:*) bring_python && has "$1" || bring_uv ;;
  uv) bring_uv ;;
  docker) bring_docker ;;
  compose) bring_compose ;;
  esac
}

how=$1
shift
for thing; do
  if has "$thing"; then [ "$how" = look ] || echo "$thing is there"; continue; fi
  if [ "$how" = look ]; then echo "lacks $thing"; continue; fi
  echo "bringing ${thing%:}"
  # What a package manager says with 0 is not believed.
  bring "$thing" </dev/null 2>&1 && has "$thing" || { echo "${thing%:} could not be brought" >&2; exit 1; }
done
