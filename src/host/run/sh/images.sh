# What images leave on a host: tags of ours, and the names under which we fetched them. A name that was there before is the
# user's, as is one that means another image by now. $base/fetched has a line for each tag and name: TAG IMAGE NAME.
image_id() { bounded 60 docker image inspect --format '{{.Id}}' -- "$1" 2>/dev/null; }

is_ours() { # NAME: whether we fetched what it means
  [ -e "$base/fetched" ] && image=$(image_id "$1") && noted_down "$1"
}

noted_down() { # NAME: of this image
  awk -v image="$image" -v name="$1" '$2 == image && $3 == name { found = 1 } END { exit !found }' "$base/fetched"
}

known_names() { # which names by digest are there, in $run/names: each fetch makes one, beside that by tag
  bounded 60 docker images --digests --format '{{.Repository}}@{{.Digest}}' >"$run/names"
}

remember() { # TAG NAME: the name is needed as long as the tag is; if that cannot be noted, it stays
  image=$(image_id "$2") && touch "$base/fetched" &&
    bounded 60 docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' -- "$2" >"$run/a" || return 0
  {
    printf '%s\n' "$2"
    while read -r name; do
      [ -z "$name" ] || { grep -qxF -- "$name" "$run/names" && ! noted_down "$name"; } || printf '%s\n' "$name"
    done <"$run/a"
  } | sort -u >"$run/b"
  while read -r name; do printf '%s %s %s\n' "$1" "$image" "$name"; done <"$run/b" >>"$base/fetched" || :
}

# $base/pins has a line for each tag of ours that a reference stands behind: TAG IMAGE [NAME], the name by which the reference's
# registry has that very image. A tag that is gone is made again of these, as the reference may mean another image by now.
pin_of() { # TAG: sets $pinned to its image, and $by to that name
  pinned='' by=''
  [ -e "$base/pins" ] || return 0
  pinned=$(awk -v tag="$1" '$1 == tag { line = $2 " " $3 } END { print line }' "$base/pins")
  by=${pinned#* } pinned=${pinned%% *}
}

pin_down() { # TAG REFERENCE: if that cannot be noted, the tag alone knows
  pin_of "$1"
  [ -z "$pinned" ] && bounded 60 docker image inspect --format '{{.Id}} {{range .RepoDigests}}{{.}} {{end}}' -- "$1" >"$run/a" || return 0
  awk -v tag="$1" -v reference="$2" '
    function repository(name) { sub(/@.*/, "", name); sub(/:[^:\/]*$/, "", name); sub(/^docker[.]io\//, "", name); sub(/^library\//, "", name); return name }
    { for (i = 2; i <= NF; i++) if (by == "" && repository($i) == repository(reference)) by = $i; print tag, $1, by }' "$run/a" >>"$base/pins" &&
    note pinned || :
}

unpin() { # TAG
  awk -v tag="$1" '$1 != tag' "$base/pins" >"$run/a" && keep_pins
}

keep_pins() { # those in $run/a
  if [ -s "$run/a" ]; then cp "$run/a" "$base/pins.tmp-$id" && mv -f "$base/pins.tmp-$id" "$base/pins"
  else rm -f "$base/pins"; fi
}

gone() { # PULL REFERENCE: of an image that no registry has
  [ "$1" != never ] || has_image "$2" || { printf 'the image %s is not on the host, and may not be pulled\n' "$2"; return 1; }
  printf 'the image of this release is gone from the host, and no registry has it: %s was %s\n' "$2" "$pinned"
  return 1
}

forget_pins() { # of tags that no release needs any more
  [ -e "$base/pins" ] || return 0
  needed_tags "$base"/services/*/releases/*
  while read -r tag rest; do
    case $keep in *" $tag "*) printf '%s %s\n' "$tag" "$rest" ;; esac
  done <"$base/pins" >"$run/a" && { cmp -s "$run/a" "$base/pins" || keep_pins; }
}

needed_tags() { # FOLDER...: of releases; sets $keep
  keep=' '
  for one in "$@"; do
    [ -e "$one/.portoser/images" ] || continue
    while read -r tag rest; do keep="$keep$tag "; done <"$one/.portoser/images"
  done
}

forget_fetched() { # names that no release needs any more go, unless a container that is not ours runs, or rests, on the image
  [ -e "$base/fetched" ] || return 0
  needed_tags "$base"/services/*/releases/*
  printf '' >"$run/a" && printf '' >"$run/b" || return
  while read -r tag image name; do
    case $keep in *" $tag "*) to=$run/a ;; *) to=$run/b ;; esac
    printf '%s %s %s\n' "$tag" "$image" "$name" >>"$to"
  done <"$base/fetched"
  while read -r tag image name; do
    ! grep -qF -- " $image $name" "$run/a" && [ "$(image_id "$name")" = "$image" ] || continue
    { only_ours "$image" && bounded 60 docker rmi -- "$name"; } || printf '%s %s %s\n' "$tag" "$image" "$name" >>"$run/a"
  done <"$run/b"
  if [ -s "$run/a" ]; then cp "$run/a" "$base/fetched.tmp-$id" && mv -f "$base/fetched.tmp-$id" "$base/fetched"
  else rm -f "$base/fetched"; fi
}

only_ours() { # IMAGE: whether no container but ours is made of it, or of what was built on it; in one question, as others come and go
  bounded 60 docker ps -a --filter "ancestor=$1" --format '{{.Label "portoser.service"}};' >"$run/ids" || return
  ! grep -qxF ';' "$run/ids"
}

do_prune_images() { # REPOSITORY RELEASES [PUSHED]...: the pins that no release here needs any more, and what was sent
  repository=$1 releases=$2
  shift 2
  [ $# = 0 ] || rm -rf -- "$@"
  needed_tags "$releases"/*
  bounded 60 docker images --format '{{.Repository}}:{{.Tag}}' --filter "reference=$repository/*" >"$run/tags" || return
  while read -r tag; do
    # Podman tells all names of an image that has one of ours, and puts `localhost/` before some.
    case ${tag#localhost/} in "$repository"/*) ;; *) continue ;; esac
    case $keep in *" ${tag#localhost/} "*) continue ;; esac
    bounded 60 docker rmi -- "$tag" || :
  done <"$run/tags"
  forget_pins
  forget_fetched
}
