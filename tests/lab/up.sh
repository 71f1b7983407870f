#!/usr/bin/env bash
# Starts lab hosts and says where they are.
#
#   up.sh [--hosts SPEC] [--id ID] [--inventory FILE]
#
# SPEC is a list like `bookworm=2,trixie=2,plain=1`: how many hosts of each image. Without it: bookworm=2,trixie=2.
# ID tells labs apart that run at the same time; without it, it follows from the checkout's path.
# FILE gets the inventory (default: labs/ID/inventory.json in the cache); `known_hosts` and `ssh_config` are put beside it.
#
# Every host has a loopback address of its own, so nothing here can be reached from another machine.
# A host that runs already as it should is left alone; a host that the SPEC does not name is removed.
set -euo pipefail
# shellcheck source=tests/lab/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

spec=bookworm=2,trixie=2
id=$(default_lab_id)
inventory=
most_hosts=16

while (($#)); do
  case $1 in
    --hosts) spec=${2:?--hosts takes a list} ;;
    --id) id=${2:?--id takes a name} ;;
    --inventory) inventory=${2:?--inventory takes a file} ;;
    *) fail "unknown option \`$1\`; usage: up.sh [--hosts SPEC] [--id ID] [--inventory FILE]" ;;
  esac
  shift 2
done
check_lab_id "$id"
inventory=${inventory:-$cache/labs/$id/inventory.json}
mkdir -p "$cache" "$(dirname "$inventory")"
folder=$(cd "$(dirname "$inventory")" && pwd)
inventory=$folder/$(basename "$inventory")
user_key=$cache/keys/user_ed25519
known_hosts=$folder/known_hosts
ssh_config=$folder/ssh_config

# One row per host: what every step below works on. Filled by read_spec.
names=() images=()
declare -A tags=()

read_spec() {
  local part image count number
  for part in ${spec//,/ }; do
    [[ $part =~ ^([a-z][a-z0-9-]*)=([0-9]+)$ ]] || fail "\`$part\` is not IMAGE=COUNT, as in bookworm=2"
    image=${BASH_REMATCH[1]} count=${BASH_REMATCH[2]}
    for ((number = 1; number <= 10#$count; number++)); do
      names+=("$image$number") images+=("$image")
    done
  done
  ((${#names[@]} >= 1 && ${#names[@]} <= most_hosts)) || fail "\`$spec\` asks for ${#names[@]} hosts; a lab has 1 to $most_hosts"
}

make_images() {
  local name tag built distinct
  mapfile -t distinct < <(printf '%s\n' "${images[@]}" | sort -u)
  # The code must pass: 77 says that this machine cannot build them, which a caller counts as skipped.
  built=$("$lab_folder/images.sh" "${distinct[@]}") || exit $?
  while read -r name tag; do tags[$name]=$tag; done <<<"$built"
}

# --- keys ---------------------------------------------------------------------------------------------------

make_key() { # FILE TYPE: throw-away, without a passphrase
  local bits=()
  # The least that sshd takes: a longer one costs seconds to make, and nobody guards anything with it.
  [[ $2 != rsa ]] || bits=(-b 2048)
  [[ -e $1 ]] || ssh-keygen -q -t "$2" "${bits[@]}" -N '' -C "portoser lab" -f "$1"
}

make_keys() {
  local name type
  mkdir -p "$cache/keys"
  chmod 700 "$cache/keys"
  make_key "$user_key" ed25519
  # A host keeps its keys over all labs of this cache; to make them anew is what a test of changed keys does.
  for name in "${names[@]}"; do
    for type in ed25519 ecdsa rsa; do
      make_key "$cache/keys/host_${name}_$type" "$type"
    done
  done
}

# What a host gets before it boots: its host keys, and the key that lets the users in. A tar stream, so that owners
# and modes are what sshd insists on.
seed() { # NAME
  local stage user owner type
  stage=$(mktemp -d)
  mkdir -p "$stage/etc/ssh"
  for type in ed25519 ecdsa rsa; do
    install -m 600 "$cache/keys/host_$1_$type" "$stage/etc/ssh/ssh_host_${type}_key"
    install -m 644 "$cache/keys/host_$1_$type.pub" "$stage/etc/ssh/ssh_host_${type}_key.pub"
  done
  tar --create --owner=0 --group=0 --directory "$stage" --file "$stage/all.tar" \
    etc/ssh/ssh_host_{ed25519,ecdsa,rsa}_key{,.pub}
  while read -r user owner _; do
    local home=home/$user
    [[ $user != root ]] || home=root
    mkdir -p "$stage/$home/.ssh"
    install -m 600 "$user_key.pub" "$stage/$home/.ssh/authorized_keys"
    tar --append --owner="$owner" --group="$owner" --directory "$stage" --file "$stage/all.tar" "$home/.ssh/authorized_keys"
  done < <(users)
  cat "$stage/all.tar"
  rm -rf "$stage"
}

# name, uid, what sudo does for it, login shell: as recipe/provision.sh makes them.
users() {
  cat <<'LIST'
root    0     root      /bin/bash
deploy  1001  free      /bin/bash
plain   1002  none      /bin/bash
asks    1003  password  /bin/bash
fishy   1004  free      /bin/tcsh
noisy   1005  free      /bin/bash
LIST
}

# --- containers ---------------------------------------------------------------------------------------------

container_of() { printf 'portoser-%s-%s' "$id" "$1"; }

init_of() { # IMAGE
  case $1 in
    plain | busybox) printf none ;;
    *) printf systemd ;;
  esac
}

# A block of addresses, 127.0.BLOCK.0/24, belongs to one lab.
choose_block() {
  local used block
  used=$(docker ps --all --filter "label=$label=$id" --format "{{.Label \"$label.block\"}}" | sort -u)
  if [[ $used =~ ^[0-9]+$ ]]; then
    printf '%s' "$used"
    return
  fi
  used=$(docker ps --all --filter "label=$label" --format "{{.Label \"$label.block\"}}" | sort -u)
  for ((block = 1; block < 255; block++)); do
    if ! grep -qx "$block" <<<"$used"; then
      printf '%s' "$block"
      return
    fi
  done
  fail "254 labs are running; remove some with down.sh"
}

# Port 22, as a fleet has it. A machine whose own sshd listens on all addresses holds that port on ours as well.
choose_port() {
  if [[ -n $(ss -Htln 'sport = :22' | awk '$4 ~ /^(0\.0\.0\.0|\*|\[::\]):22$/') ]]; then
    printf 2222
  else
    printf 22
  fi
}

runs_as_wanted() { # NAME TAG ADDRESS PORT
  local seen
  seen=$(docker inspect --format "{{.State.Status}} {{.Config.Image}} {{index .Config.Labels \"$label.address\"}}" \
    "$(container_of "$1")" 2>/dev/null) || return 1
  [[ $seen == "running $2 $3:$4" ]]
}

create_host() { # NAME IMAGE ADDRESS PORT
  local container security=() more=()
  container=$(container_of "$1")
  docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  # systemd mounts and unmounts; AppArmor's profile for containers, where there is AppArmor, does not let it.
  if [[ $engine_security == *name=apparmor* ]]; then
    security+=(--security-opt apparmor=unconfined)
  fi
  # A process that nobody supervises must still be reaped when it ends.
  [[ $(init_of "$2") == systemd ]] || more+=(--init)
  # The engine inside keeps its layers on a volume: overlayfs does not stack on overlayfs.
  [[ $2 != *-docker ]] || more+=(--volume /var/lib/docker)
  # Not --privileged: with all capabilities but the one that some machines cannot give, systemd boots everywhere.
  docker create --name "$container" --hostname "$1" \
    --label "$label=$id" --label "$label.host=$1" --label "$label.block=$block" --label "$label.address=$3:$4" \
    --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined "${security[@]}" \
    --cgroupns host --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --env SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \
    --tmpfs /run --tmpfs /run/lock --tmpfs /tmp \
    --log-opt max-size=10m "${more[@]}" \
    --publish "$3:$4:22" "${tags[$2]}" >/dev/null
  seed "$1" | docker cp - "$container:/" >/dev/null
  docker start "$container" >/dev/null
}

booted() { # CONTAINER: systemd has nothing left to start
  local state
  state=$(docker exec "$1" systemctl is-system-running 2>/dev/null) || true
  [[ $state == running || $state == degraded ]]
}

await_host() { # NAME IMAGE ADDRESS PORT
  local container
  container=$(container_of "$1")
  if [[ $(init_of "$2") == systemd ]]; then
    wait_until 90 "$1 to boot (see: docker exec $container systemctl list-jobs)" booted "$container"
  fi
  wait_until 30 "sshd of $1 at $3:$4" sshd_answers "$3" "$4"
}

start_host() { # NAME IMAGE ADDRESS PORT
  runs_as_wanted "$1" "${tags[$2]}" "$3" "$4" || create_host "$@"
  await_host "$@"
}

remove_unnamed() {
  local container host
  docker ps --all --filter "label=$label=$id" --format "{{.Names}} {{.Label \"$label.host\"}}" | while read -r container host; do
    [[ " ${names[*]} " == *" $host "* ]] || docker rm --force --volumes "$container" >/dev/null
  done
}

# --- what is written ----------------------------------------------------------------------------------------

# The keys are read inside the container, by a way that nobody can stand in: not trusted on first use.
host_keys_of() { docker exec "$1" sh -c 'cat /etc/ssh/ssh_host_*_key.pub' | cut -d ' ' -f 1,2; }

known_host_name() { # ADDRESS PORT: as OpenSSH writes it
  if [[ $2 == 22 ]]; then printf '%s' "$1"; else printf '[%s]:%s' "$1" "$2"; fi
}

write_host() { # NAME IMAGE ADDRESS PORT: its entry of the inventory on stdout; its lines are added to the other files
  local container key keys=() lines=() user uid sudo shell listed=() facts
  container=$(container_of "$1")
  mapfile -t keys < <(host_keys_of "$container")
  ((${#keys[@]})) || fail "$1 has no host keys"
  for key in "${keys[@]}"; do
    lines+=("$(json_string "$(known_host_name "$3" "$4") $key")")
    printf '%s %s\n' "$(known_host_name "$3" "$4")" "$key" >>"$known_hosts.part"
  done
  cat >>"$ssh_config.part" <<CONFIG
Host $1
  HostName $3
  Port $4

CONFIG
  while read -r user uid sudo shell; do
    [[ $2 != busybox ]] || shell=/bin/sh
    listed+=("{\"name\":\"$user\",\"uid\":$uid,\"sudo\":\"$sudo\",\"shell\":\"$shell\"}")
  done < <(users)
  facts=$(docker inspect --format '"container":"{{.Id}}","container_address":"{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"' "$container")
  local IFS=,
  printf '{"name":"%s","address":"%s","port":%s,"image":"%s","suite":"%s","init":"%s","key":%s,%s,"container_name":"%s",\n     "users":[%s],\n     "host_keys":[%s]}' \
    "$1" "$3" "$4" "$2" "$(suite_of "$2")" "$(init_of "$2")" "$(json_string "$user_key")" "$facts" "$container" \
    "${listed[*]}" "${lines[*]}"
}

suite_of() { # IMAGE
  case $1 in
    trixie*) printf trixie ;;
    *) printf bookworm ;;
  esac
}

write_files() {
  local index entries=() firewall=false
  # Whether a test can cut a link here: only root may.
  ! is_root || firewall=true
  : >"$known_hosts.part"
  : >"$ssh_config.part"
  for index in "${!names[@]}"; do
    entries+=("$(write_host "${names[index]}" "${images[index]}" "$(address_of "$index")" "$port")")
  done
  cat >>"$ssh_config.part" <<CONFIG
Match host 127.0.$block.*
  User deploy
  IdentityFile $user_key
  IdentitiesOnly yes
  UserKnownHostsFile $known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
CONFIG
  {
    printf '{"lab":"%s","key":%s,"known_hosts":%s,"ssh_config":%s,"sudo_password":"lab-password","firewall":%s,\n "hosts":[\n' \
      "$id" "$(json_string "$user_key")" "$(json_string "$known_hosts")" "$(json_string "$ssh_config")" "$firewall"
    for index in "${!entries[@]}"; do
      ((index == 0)) || printf ',\n'
      printf '    %s' "${entries[index]}"
    done
    printf '\n ]}\n'
  } >"$inventory.part"
  mv "$known_hosts.part" "$known_hosts"
  mv "$ssh_config.part" "$ssh_config"
  # The inventory comes last: whoever sees it, finds the other two.
  mv "$inventory.part" "$inventory"
}

# --- all of it ----------------------------------------------------------------------------------------------

address_of() { printf '127.0.%s.%s' "$block" $(($1 + 1)); }

began=$(now)
need_engine
read_spec
make_images

# One lab after the other from here, so that two do not choose one block, nor make one key twice.
exec 9>"$cache/up.lock"
flock --wait 300 9 || fail "waited 300 s for another up.sh"
make_keys
block=$(choose_block)
port=$(choose_port)
engine_security=$(docker info --format '{{.SecurityOptions}}')
"$lab_folder/faults.sh" heal "$id" 9>&-
remove_unnamed

starting=()
for index in "${!names[@]}"; do
  start_host "${names[index]}" "${images[index]}" "$(address_of "$index")" "$port" 9>&- &
  starting+=($!)
done
failed=0
for process in "${starting[@]}"; do
  wait "$process" || failed=1
done
((failed == 0)) || fail "not every host came up; look with \`docker ps --all --filter label=$label=$id\`, remove with \`$lab_folder/down.sh --id $id\`"
write_files
say "$id: ${#names[@]} hosts on 127.0.$block.1-${#names[@]} port $port, up in $(seconds_since "$began") s; inventory: $inventory"
