#!/usr/bin/env bash
# Builds the images of lab hosts and keeps them. No registry is asked: a base comes from debootstrap, the rest from
# the small Dockerfiles in recipe/. Prints `NAME TAG` for each image asked for (default: all that the tests use).
#
#   images.sh [NAME...]    makes sure that these images exist
#   images.sh --prune      removes images and archives of recipes that are no longer in use
#
# A tag holds the hash of everything an image was made from, so an image with the right tag is the right image.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
recipe=$lab_folder/recipe

# What each image is made from: its name, what it stands on, and its Dockerfile.
# Images whose parent is a base carry the base's name: SUITE, or SUITE-docker with a Docker engine of its own inside.
images() {
  cat <<'LIST'
bookworm         base:bookworm          host
trixie           base:trixie            host
plain            bookworm               plain
bare             bookworm               bare
busybox          plain                  busybox
bookworm-session bookworm               session
trixie-session   trixie                 session
bookworm-docker  base:bookworm-docker   host
trixie-docker    base:trixie-docker     host
LIST
}

# Images with Docker inside wait for the issue that deploys containers; they are built when somebody names them.
default_images=(bookworm trixie plain bare busybox bookworm-session trixie-session)

base_packages() { # BASE
  local packages=systemd,systemd-sysv,dbus,openssh-server,sudo,python3,python3-venv,curl,ca-certificates,iproute2,procps
  # For hosts that keep login sessions and user managers; the others have them switched off.
  packages+=,libpam-systemd,dbus-user-session
  # tcsh is one user's login shell, busybox is what the image of that name becomes.
  packages+=,tcsh,busybox-static
  # One suite has zstd and the other has not, so that both ways to pack what is sent are taken.
  case $1 in
    trixie*) packages+=,zstd ;;
  esac
  case $1 in
    bookworm-docker) packages+=,docker.io,docker-compose,iptables ;;
    trixie-docker) packages+=,docker.io,docker-cli,docker-compose,iptables ;;
  esac
  printf '%s' "$packages"
}

hash_of() { # TEXT...: the first twelve digits of its hash
  local sum
  sum=$(printf '%s\n' "$@" | sha256sum)
  printf '%s' "${sum:0:12}"
}

base_key() { hash_of "$1" "$(base_packages "$1")" minbase; }

image_row() { # NAME: sets parent and dockerfile
  local name
  while read -r name parent dockerfile; do
    [[ $name == "$1" ]] && return
  done < <(images)
  fail "there is no lab image \`$1\`; there are: $(images | awk '{ printf "%s ", $1 }')"
}

image_key() { # NAME
  local parent dockerfile parent_key provision=
  image_row "$1"
  case $parent in
    base:*)
      parent_key=$(base_key "${parent#base:}")
      provision=$(<"$recipe/provision.sh")
      ;;
    *) parent_key=$(image_key "$parent") ;;
  esac
  hash_of "$parent_key" "$provision" "$(<"$recipe/$dockerfile.Dockerfile")"
}

tag_of() { printf 'portoser-lab/%s:%s' "$1" "$(image_key "$1")"; }
base_tag_of() { printf 'portoser-lab/base-%s:%s' "$1" "$(base_key "$1")"; }
archive_of() { printf '%s/base-%s-%s.tar.zst' "$cache" "$1" "$(base_key "$1")"; }

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# Two runs at once, or two suites at once, must not build one image twice.
locked() { # NAME COMMAND...
  local name=$1
  shift
  (
    flock --wait 1800 8 || fail "waited 1800 s for another build of $name"
    "$@"
  ) 8>"$cache/$name.lock"
}

remove_tree() { # FOLDER: also one that a killed debootstrap left with mounts inside
  umount --recursive "$1/proc" 2>/dev/null || true
  umount --recursive "$1/sys" 2>/dev/null || true
  rm -rf --one-file-system "$1"
}

make_archive() { # BASE
  local base=$1 suite=${1%-docker} archive tree began
  archive=$(archive_of "$base")
  [[ -e $archive ]] && return
  began=$(now)
  say "$base: debootstrap (log: $cache/debootstrap-$base.log)"
  # Each base has a cache of its own: two debootstraps in one take files away from each other.
  mkdir -p "$cache/packages-$base"
  tree=$cache/tree-$base
  remove_tree "$tree"
  # Without a mirror named, debootstrap takes its own default.
  if ! debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --cache-dir="$cache/packages-$base" --include="$(base_packages "$base")" \
    "$suite" "$tree" ${PORTOSER_LAB_MIRROR:+"$PORTOSER_LAB_MIRROR"} \
    >"$cache/debootstrap-$base.log" 2>&1 8>&- </dev/null; then
    tail -n 20 "$cache/debootstrap-$base.log" >&2
    [[ ! -e $tree/debootstrap/debootstrap.log ]] || tail -n 20 "$tree/debootstrap/debootstrap.log" >&2
    remove_tree "$tree"
    fail "debootstrap of $suite failed"
  fi
  # Manuals and translations are half of the weight and nobody reads them on a lab host.
  rm -rf "$tree"/usr/share/{doc,man,locale,info}/* "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  tar --create --numeric-owner --xattrs --xattrs-include='*' --one-file-system --directory "$tree" . \
    | zstd --quiet -3 -T0 -o "$archive.part" --force
  mv "$archive.part" "$archive"
  remove_tree "$tree"
  say "$base: debootstrap took $(seconds_since "$began") s"
}

import_base() { # BASE
  local tag
  tag=$(base_tag_of "$1")
  image_exists "$tag" && return
  make_archive "$1"
  zstd --quiet --decompress --stdout "$(archive_of "$1")" | docker import - "$tag" >/dev/null
}

build_image() { # NAME
  local parent dockerfile tag began parent_tag log
  tag=$(tag_of "$1")
  image_exists "$tag" && return
  image_row "$1"
  case $parent in
    base:*)
      locked "base-${parent#base:}" import_base "${parent#base:}"
      parent_tag=$(base_tag_of "${parent#base:}")
      ;;
    *)
      locked "image-$parent" build_image "$parent"
      parent_tag=$(tag_of "$parent")
      ;;
  esac
  began=$(now)
  log=$cache/build-$1.log
  # Nothing is fetched while an image is built: what a host carries is in its base.
  if ! docker build --network none --build-arg "BASE=$parent_tag" --tag "$tag" \
    --file "$recipe/$dockerfile.Dockerfile" "$recipe" >"$log" 2>&1 8>&-; then
    tail -n 20 "$log" >&2
    fail "the image $1 could not be built; the log is $log"
  fi
  say "$1: built in $(seconds_since "$began") s"
}

base_of() { # NAME
  local parent dockerfile
  image_row "$1"
  if [[ $parent == base:* ]]; then printf '%s' "${parent#base:}"; else base_of "$parent"; fi
}

# Said once and before anything is begun, not by each of the builds.
need_root_for() { # NAME...
  local name base
  is_root && return
  for name in "$@"; do
    base=$(base_of "$name")
    if ! image_exists "$(tag_of "$name")" && ! image_exists "$(base_tag_of "$base")" && [[ ! -e $(archive_of "$base") ]]; then
      say "the image $name is not built yet, and debootstrap needs root; build it once: sudo --preserve-env $lab_folder/images.sh"
      exit "$skipped_exit"
    fi
  done
}

prune() {
  local name parent _ tag file keep=()
  while read -r name parent _; do
    keep+=("$(tag_of "$name")")
    if [[ $parent == base:* ]]; then
      keep+=("$(base_tag_of "${parent#base:}")" "$(archive_of "${parent#base:}")")
    fi
  done < <(images)
  docker image ls --filter 'reference=portoser-lab/*' --format '{{.Repository}}:{{.Tag}}' | while read -r tag; do
    if [[ " ${keep[*]} " != *" $tag "* ]] && docker image rm "$tag" >/dev/null 2>&1; then
      say "removed $tag"
    fi
  done
  for file in "$cache"/base-*.tar.zst; do
    [[ ! -e $file || " ${keep[*]} " == *" $file "* ]] || rm -f "$file"
  done
}

main() {
  mkdir -p "$cache"
  need_engine
  if [[ ${1:-} == --prune ]]; then
    prune
    return
  fi
  local name wanted=("$@") builds=() build code=0
  ((${#wanted[@]})) || wanted=("${default_images[@]}")
  need_root_for "${wanted[@]}"

  # All that is missing is built side by side; a lock in front of each image lets the one wait for its parent.
  for name in "${wanted[@]}"; do
    local tag
    tag=$(tag_of "$name")
    if ! image_exists "$tag"; then
      locked "image-$name" build_image "$name" >&2 &
      builds+=($!)
    fi
    printf '%s %s\n' "$name" "$tag"
  done
  for build in "${builds[@]}"; do
    wait "$build" || code=$?
  done
  return "$code"
}

main "$@"
