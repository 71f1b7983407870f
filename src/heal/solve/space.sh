# Makes room on the mount $mount, and takes only what lies on that very file system.
line() { df -Pk "$1" 2>/dev/null | tail -n 1; }
whole=$(line "$mount")

on() { # PATH: whether it lies on the mount, or on another mount of the same device
  [ -e "$1" ] || return 1
  one=$(line "$1")
  # `df -P` ends a line with the mount point, behind the only word with a `%`.
  [ "${one#*% }" != "$mount" ] || return 0
  case $one in /dev/*) [ "${one%% *}" = "${whole%% *}" ] ;; *) return 1 ;; esac
}

# The budget: no more is freed than what is missing to twice of what the look `disk` calls full. That is 6 % of the file system, at
# most 2 GiB, and at least 8 MiB or half of a small one. Leaves in `lack` what is missing, in KiB.
enough() {
  set -- $(line "$mount" | awk '{ for (i = 4; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { print $(i - 3), $(i - 1); exit } }')
  [ $# = 2 ] || { echo "the room on $mount is not known, so nothing is taken"; return 0; }
  want=$(($1 / 100 * 6)) least=8192
  [ "$want" -le 2097152 ] || want=2097152
  [ "$least" -le "$(($1 / 2))" ] || least=$(($1 / 2))
  [ "$want" -ge "$least" ] || want=$least
  lack=$((want - $2))
  if [ "$lack" -le 0 ]; then
    echo "$2 KiB are free on $mount, and $want are enough"
    return 0
  fi
  echo "$lack KiB more are wanted on $mount"
  return 1
}

journal() { # loses what is missing, the oldest first, and keeps 64 MiB
  command -v journalctl >/dev/null || return 0
  for place in /var/log/journal /run/log/journal; do
    on "$place" || continue
    ! enough || return 0
    # What is written to is closed, so that it may go, too; each file that comes in its place takes 8 MiB at once.
    next=0
    for one in "$place"/*/*.journal; do
      case $one in *@*) ;; *) next=$((next + 8192)) ;; esac
    done
    journalctl --rotate
    for turn in 1 2 3; do
      ! enough || return 0
      set -- $(du -ck "$place"/*/*@*.journal* | tail -n 1)
      keep=$(($1 - lack - next))
      [ "$keep" -gt 65536 ] || keep=65536
      journalctl --vacuum-size="${keep}K"
    done
    return 0
  done
}

caches() { # each package tool empties its own cache, which knows no half
  ! enough || return 0
  if command -v apt-get >/dev/null && on /var/cache/apt; then apt-get clean; fi
  if command -v dnf >/dev/null && on /var/cache/dnf; then dnf clean packages; fi
  if command -v apk >/dev/null && on /etc/apk/cache; then apk cache clean; fi
  return 0
}

images() { # those without a name that no container uses; ours have names as long as their release is there
  command -v docker >/dev/null || return 0
  info=$(docker info --format "$store_words") || return 0
  store "$info"
  on "$root" || on "$lies" || return 0
  for one in $(docker images --quiet --no-trunc --filter dangling=true); do
    ! enough || return 0
    docker rmi "$one" || :
  done
}
