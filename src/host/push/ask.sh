# What the host's engine has of an image that is to be sent: BASE FOLDER TAG ID
umask 077
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
base=$1 folder=$2 tag=$3 id=$4 limit=
command -v timeout >/dev/null && limit='timeout 60'
for tool in zstd gzip; do command -v $tool >/dev/null && printf 'tool %s\n' $tool; done
names='{{.Server.Os}}/{{.Server.Arch}}{{range .Server.Components}}|{{.Name}}{{end}}'
platform=$($limit docker version --format "$names" 2>&1) || { printf 'blind %s\nend\n' "$(printf '%s' "${platform:-docker does not answer}" | tr '\n' ' ')"; exit; }
printf 'platform %s\n' "${platform%%|*}"
# A line for each of the two that is there.
if [ -n "$($limit docker image inspect --format . -- "$tag" "$id" 2>/dev/null)" ]; then printf 'have\nend\n'; exit; fi
# What nobody came back for within a day.
[ ! -d "${folder%/*}" ] || find "${folder%/*}" -mindepth 1 -maxdepth 1 -type d -mmin +1440 -exec rm -rf {} + 2>/dev/null
if [ -d "$folder" ]; then
  touch "$folder"
  tidied "$folder"
  # What arrived before the link was cut; one that is still at it does not need it there.
  for one in "$folder"/in-*; do arrived "$one" "$folder" 2>/dev/null; done
  if [ -f "$folder/whole" ]; then read -r from <"$folder/whole"; printf 'whole %s\n' "$from"; fi
  for one in "$folder"/*; do
    case $one in
    *.new-*) ;;
    *.part) printf 'part %s %s\n' $(($(wc -c <"$one"))) "$(basename "$one" .part)" ;;
    *) [ ! -f "$one" ] || printf 'piece %s\n' "${one##*/}" ;;
    esac
  done
fi
# Only Docker with a store of its own takes an archive that lacks the layers which it has; containerd's and Podman do not.
store "$($limit docker info --format "$store_words" 2>/dev/null)"
case $kept$platform in
*containerd.snapshotter* | *'|Podman'*) ;;
overlay2\|* | overlay\|* | vfs\|* | btrfs\|* | zfs\|* | aufs\|* | fuse-overlayfs\|* | devicemapper\|*)
  printf 'partial\n'
  all=$($limit docker images -aq --no-trunc | sort -u)
  # The ids are words of ours: hexadecimal digits.
  [ -z "$all" ] || $limit docker image inspect --format 'layers {{json .RootFS.Layers}}' $all 2>/dev/null ;;
esac
room() { # NAME FOLDER: free bytes there, and which file system it is
  at=$2
  while [ ! -d "$at" ]; do at=${at%/*}; [ -n "$at" ] || at=/; done
  df -Pk "$at" 2>/dev/null | { read -r head && read -r device size used free part mount && printf 'room %s %s %s\n' "$1" $((free * 1024)) "$mount"; }
}
room base "$base"
[ -z "$lies" ] || room engine "$lies"
printf 'end\n'
