# What image registries say of images, before anything is fetched. Changes nothing.
images() { # [SERVICE always|missing REFERENCE]...: what is there, or was chosen already, needs no registry
  command -v docker >/dev/null || return
  limit= platform= insecure=
  command -v timeout >/dev/null && limit='timeout 10'
  patient=$limit
  while [ $# -gt 2 ]; do
    [ "$2" = always ] || has_image "$1" "$3" || offer "$3"
    [ "$2" = missing ] || offer "$3"
    shift 3
  done
  [ -z "$platform" ] || held
  [ -z "$signs" ] || rm -rf "$signs"
}

signs=
sign_place() { # a folder for logins, which is gone when we are; in memory where that can be
  umask 077
  for one in /dev/shm /run "${TMPDIR:-/tmp}"; do
    [ -w "$one" ] && signs=$(mktemp -d "$one/.portoser-XXXXXX") && mkdir "$signs/logins" && break
  done
  [ -d "$signs/logins" ] || exit 1
  trap 'rm -rf "$signs"' EXIT
  trap 'exit 1' HUP INT TERM
  (while sleep 1 && kill -0 $$; do :; done; rm -rf "$signs") </dev/null >/dev/null 2>&1 3>&- &
}

has_image() { # SERVICE REFERENCE
  while read -r tag pinned; do
    [ "$pinned" != "$2" ] || return 0
  done <"$base/services/$1/current/.portoser/images"
  $limit docker image inspect --format . -- "$2" >/dev/null
}

manifest() { # [-v] REFERENCE: as its registry has it, by the rules that the engine has for that registry
  for last; do :; done
  signed "$signs" "$last" || return
  case $server in 127.* | localhost | localhost:*) set -- --insecure "$@" ;;
  *) case " $insecure " in *" $server "*) set -- --insecure "$@" ;; esac ;;
  esac
  (if [ -n "$settings" ]; then export DOCKER_CONFIG="$settings"; fi; exec $limit docker manifest inspect "$@") 2>&1
}

offer() { # REFERENCE
  if [ -z "$platform" ]; then
    platform=$($limit docker version --format '{{.Server.Os}}/{{.Server.Arch}}') ||
      { say "images/unknown $1" 'docker does not answer within 10 s'; return; }
    insecure=$($limit docker info --format '{{range $name, $one := .RegistryConfig.IndexConfigs}}{{if not $one.Secure}}{{$name}} {{end}}{{end}}')
  fi
  told=$(manifest "$1") || { say "images/unknown $1" "${told:-no answer within 10 s}"; return; }
  case $told in
  *'"manifests":'*)
    digest=$(printf '%s\n' "$told" | awk -v wanted="$platform" "$pick")
    [ -n "$digest" ] || { say "images/unknown $1" "it is not made for $platform"; return; }
    name=${1%@*}
    case ${name##*/} in *:*) name=${name%:*} ;; esac
    say "images/digest $1" "$digest"
    told=$(manifest "$name@$digest") || { say "images/unknown $1" "${told:-no answer within 10 s}"; return; } ;;
  *) told=$(manifest -v "$1") || { say "images/unknown $1" "${told:-no answer within 10 s}"; return; } ;;
  esac
  say "images/manifest $1" "$told"
  offered="$offered $(printf '%s\n' "$told" | grep -o 'sha256:[0-9a-f]*')"
}
offered=

# Of a list of manifests, the digest of the first one for this platform. Docker writes one key on each line.
pick='/"digest":/ { digest = $0; gsub(/.*"digest": *"|".*/, "", digest) } /"architecture":/ { arch = $0; gsub(/.*: *"|".*/, "", arch) }
  /"os":/ { os = $0; gsub(/.*: *"|".*/, "", os) } /}/ { if (arch != "" && os "/" arch == wanted && !found) { found = 1; print digest }; arch = os = "" }'

held() { # which of the offered layers the engine has: by what it wrote down when it fetched them, which only root may read
  store "$($limit docker info --format "$store_words")"
  [ ! -d "$lies" ] || df -Pk "$lies" | { read -r head && read -r device size used free part mount && say images/room "$((free * 1024)) $mount"; }
  book=$root/image/$driver/distribution/diffid-by-digest/sha256
  all=$($limit docker images -aq --no-trunc | sort -u)
  if [ -z "$all" ]; then say images/layers ''; return; fi
  [ -r "$book" ] || return
  # The ids and digests are words of ours: hexadecimal digits.
  say images/layers "$($limit docker image inspect --format '{{json .RootFS.Layers}}' $all)"
  known=
  for one in $offered; do
    one=${one#sha256:}
    { IFS= read -r layer || [ -n "$layer" ]; } <"$book/$one" && known="$known$one $layer
"
  done
  say images/known "$known"
}
