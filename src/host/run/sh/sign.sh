# Being known to image registries, by settings of docker's that are thrown away: the user's own are neither read nor written. A
# login is a file with three lines, each behind a `=`: the registry, the user, the password.
server_of() { # REFERENCE: sets $server to the name of its registry
  case $1 in */*) server=${1%%/*} ;; *) server= ;; esac
  case $server in *.* | *:* | localhost) ;; *) server=docker.io ;; esac
}

hide_logins() { # sets $signs to where the logins of this run are: in memory, where there is some, so that a power cut leaves none
  signs=$run
  [ -d "$run/logins" ] || return 0
  for one in /dev/shm /run; do
    [ -w "$one" ] && grep -q " $one tmpfs " /proc/mounts && signs=$(umask 077 && mktemp -d "$one/.portoser-XXXXXX") || continue
    ln -s "$signs" "$run/signs" && mv "$run/logins" "$signs/" && return
    rm -rf "$signs" "$run/signs"
  done
  signs=$run
}

forget_logins() { # nothing is left of what let this run in; another one may do that for it
  rm -rf "$run/logins" "$run/docker"
  [ ! -L "$run/signs" ] || { target "$run/signs" && rm -rf "$text" "$run/signs"; }
}

signed() { # FOLDER REFERENCE: sets $settings to those by which the image's registry knows us; to nothing where there are none
  settings=
  [ -n "$1" ] || return 0
  server_of "$2"
  for login in "$1"/logins/*; do
    [ -e "$login" ] || return 0
    { IFS= read -r at && IFS= read -r user; } <"$login"
    [ "$at" != "=$server" ] || sign_in "$1/docker" || return
  done
}

sign_in() { # SETTINGS: with $login, once
  settings=$1
  [ ! -e "$settings/${login##*/}" ] || return 0
  if [ ! -d "$settings" ]; then
    # With a list, docker chooses no store of the host's to keep passwords in.
    mkdir -m 700 "$settings" && printf '{"auths":{"portoser.invalid":{}}}' >"$settings/config.json" || return
    [ ! -d "${HOME-/}/.docker/cli-plugins" ] || ln -s "$HOME/.docker/cli-plugins" "$settings/cli-plugins"
  fi
  at=${at#=} user=${user#=}
  case $at in docker.io) set -- '' ;; *) set -- "$at" ;; esac
  why=$($patient sh -c "$signing" login "$login" "$settings" "$user" "$1" 2>&1) || {
    printf 'the image registry %s does not let %s in: %s\n' "$at" "$user" "$why"
    return 1
  }
  printf '' >"$settings/${login##*/}"
}

# The password comes from a file to the standard input, and is never a word.
signing='export DOCKER_CONFIG="$2" REGISTRY_AUTH_FILE="$2/auth.json"
sed -n "3s/^=//p" <"$1" | exec docker login --username="$3" --password-stdin ${4:+"$4"}'
