# Steps on compose projects. A release brings its own way to call compose (.portoser/compose.sh), so that any release can be
# brought up again. What runs is asked of the engine, never of files. No step here touches a volume.
compose() { # FOLDER WORDS...: compose, for the project of the release in this folder
  at=$1
  shift
  bounded "$unit_within" sh "$at/.portoser/compose.sh" "$@"
}

containers() { # PROJECT [RELEASE]: a line for each container in $run/ps: name, state, starts by docker, exit code, policy, health, life
  bounded 60 docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$1" ${2:+--filter "label=portoser.release=$2"} \
    --filter label=com.docker.compose.oneoff=False >"$run/ids" || { cat "$run/ids"; return 1; }
  set --
  while read -r one; do set -- "$@" "$one"; done <"$run/ids"
  printf '' >"$run/ps" || return
  [ $# -gt 0 ] || return 0
  bounded 60 docker inspect --format '{{.Name}} {{.State.Status}} {{.RestartCount}} {{.State.ExitCode}} {{with .HostConfig.RestartPolicy.Name}}{{.}}{{else}}no{{end}} {{with index .State "Health"}}{{.Status}}{{else}}-{{end}} {{.Id}}@{{.State.StartedAt}}' "$@" >"$run/ps"
}

be_patient() { # lets a word take as long as a container of those in $run/ids may take to stop, an hour at most
  [ -s "$run/ids" ] || return 0
  for grace in $(bounded 60 docker inspect --format '{{.Config.StopTimeout}}' $(cat "$run/ids")); do
    case $grace in '' | *[!0-9]* | ??????*) continue ;; esac
    [ "$grace" -le 3600 ] || grace=3600
    # As much beyond it as for any other word.
    [ "$grace" -le 60 ] || [ $((grace + 300)) -le "$unit_within" ] || unit_within=$((grace + 300))
  done
}

project_state() { # sets $state to runs, rests or none, from $run/ps
  state=none
  while read -r name status rest; do
    case $status in running | restarting | paused) state=runs ;; *) [ $state = runs ] || state=rests ;; esac
  done <"$run/ps"
}

has_image() { bounded 60 docker image inspect --format . -- "$1" >/dev/null 2>&1; }

fits() { # IMAGE: whether it is made for this engine
  made_for=$(bounded 60 docker image inspect --format '{{.Os}}/{{.Architecture}}' -- "$1") &&
    needed=$(bounded 60 docker version --format '{{.Server.Os}}/{{.Server.Arch}}') || return
  [ "$made_for" = "$needed" ] || {
    printf 'the image %s is made for %s, and the engine of the host is %s\n' "$1" "$made_for" "$needed"
    return 1
  }
}

do_image() { # TAG PULL REFERENCE: the tag pins what the reference means now, so that the way back needs no network
  if has_image "$1"; then pin_down "$1" "$3"; return 0; fi
  pin_of "$1"
  if [ -n "$pinned" ]; then
    # The tag was taken away, as by `docker image prune -a`. What it pinned is what is wanted.
    if has_image "$pinned"; then note made && bounded 60 docker tag -- "$pinned" "$1"; return; fi
    [ -n "$by" ] || { gone "$2" "$3"; return; }
    set -- "$1" "$2" "$by"
  fi
  how=$2 whose=ours
  case $3 in *@*) [ "$how" = never ] || how=missing ;; esac # what a digest names does not change
  known_names && { ! has_image "$3" || is_ours "$3"; } || whose=theirs
  if [ "$how" = always ] || ! has_image "$3"; then
    [ "$how" != never ] || { printf 'the image %s is not on the host, and may not be pulled\n' "$3"; return 1; }
    fetch "$3" || { printf 'the image %s was not fetched\n' "$3"; return 1; }
    say note "fetched $3: $(bounded 60 docker image inspect --format '{{join .RepoDigests " "}}' -- "$3")"
  fi
  [ "$whose" = theirs ] || remember "$1" "$3"
  fits "$3" && note made && bounded 60 docker tag -- "$3" "$1" && pin_down "$1" "$3"
}

fetch() { # REFERENCE: from its registry, which may want to know us
  signed "$signs" "$1" || return
  set -- docker pull --quiet -- "$1"
  [ -z "$settings" ] || set -- env "DOCKER_CONFIG=$settings" "REGISTRY_AUTH_FILE=$settings/auth.json" "$@"
  minded "$pull_within" "$@"
}

undo_image() { # what still uses it keeps it
  ! noted pinned || unpin "$1"
  ! noted made || ! has_image "$1" || bounded 60 docker rmi -- "$1" || :
}

do_load() { # TAG IMAGE FOLDER: of an image that was sent; the engine reads what it lacks, and proves each layer by its digest
  ! has_image "$1" || return 0
  if has_image "$2"; then note made && bounded 60 docker tag -- "$2" "$1"; return; fi
  [ -e "$3/whole" ] || { printf 'the image %s is not on the host, and was not sent\n' "$2"; return 1; }
  # The layers that the engine has are named, and are not in the archive.
  printf '[{"Config":"config","RepoTags":["%s"],"Layers":[%s]}]\n' "$1" "$(cat "$3/layers")" >"$3/manifest.json" && note made &&
    minded "$pull_within" sh -c "$archive"' | docker load --quiet' load "$3" >"$run/a" 2>&1 || {
    cat "$run/a"
    # What is damaged must not be tried again.
    grep -q -i -e 'no space left' -e 'cannot connect' -e 'it took longer' "$run/a" || rm -rf -- "$3"
    return 1
  }
  same_image "$1" "$2" "$3" && fits "$1"
}

archive='cd "$1" && {
  while read -r how part; do
    case $how in gzip) gzip -dc <"$part" ;; zstd) zstd -dcq <"$part" ;; *) cat "$part" ;; esac || exit
  done <parts && tar cf - manifest.json
}'

same_image() { # TAG IMAGE FOLDER: by its id; engines that call images by something else have the same layers
  [ "$(bounded 60 docker image inspect --format '{{.Id}}' -- "$1")" != "$2" ] || return 0
  [ "$(bounded 60 docker image inspect --format '{{json .RootFS.Layers}}' -- "$1")" != "$(cat "$3/digests")" ] || return 0
  printf 'what was loaded is not the image %s\n' "$2"
  return 1
}

undo_load() { undo_image "$1"; }

do_part() { # TAG PULL FOLDER PART: the same for a part of the user's compose file, which may be built
  ! has_image "$1" || return 0
  bounded 60 sh "$3/.portoser/compose.sh" plain config >"$run/config" ||
    { grep '^it took longer than' "$run/config"; rm -f "$run/config"; return 1; }
  # Both composes write the whole project with two blanks for each level.
  reference=$(awk -v part="$4" '/^[^ #]/ { top = $1 } top == "services:" && /^  [^ ]/ { name = $0; gsub(/^ +|:[ ]*$|["\047]/, "", name); here = name == part }
    here && /^    build:/ { build = 1 } here && /^    image: / { sub(/^    image: */, ""); gsub(/["\047]/, ""); image = $0 }
    END { if (build) print "build"; else print image }' "$run/config")
  rm -f "$run/config" # it has the values of variables in it
  case $reference in
  build) note made && signed_all && classic &&
    minded "$pull_within" env ${settings:+"DOCKER_CONFIG=$settings"} $classic sh "$3/.portoser/compose.sh" build "$4" ;;
  '') printf 'the compose file names neither image nor build for %s\n' "$4"; return 1 ;;
  *) do_image "$1" "$2" "$reference" ;;
  esac
}

classic() { # sets $classic: Podman has no BuildKit, and compose would fetch one from Docker's registry
  classic=$(bounded 60 docker version --format '{{range .Server.Components}}|{{.Name}}{{end}}') || return
  case $classic in *'|Podman'*) classic=DOCKER_BUILDKIT=0 ;; *) classic= ;; esac
}

signed_all() { # with every registry that we know, as a build may begin from an image of any
  settings=
  for login in "$signs"/logins/*; do
    [ -e "$login" ] || return 0
    { IFS= read -r at && IFS= read -r user; } <"$login"
    sign_in "$signs/docker" || return
  done
}

sign_out() { # what let us in is thrown away; the passwords too, once no stage is left that could want them
  [ -d "$signs/logins" ] || return 0
  rm -rf "$signs/docker"
  left=0
  while [ $left -lt "$stages" ]; do
    left=$((left + 1))
    marked $left.begun || return 0
  done
  forget_logins
}

undo_part() { undo_image "$1"; }

do_take_images() { # PROJECT [PART TAG]...: what the file's reference means by now may be another image than the one that runs
  bounded 60 docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$1" \
    --filter label=com.docker.compose.oneoff=False >"$run/ids" || { cat "$run/ids"; return 1; }
  [ -s "$run/ids" ] || return 0
  bounded 60 docker inspect --format '{{.Image}} {{json (index .Config.Labels "com.docker.compose.service")}}' $(cat "$run/ids") >"$run/taken" ||
    { cat "$run/taken"; return 1; }
  shift
  while [ $# -gt 1 ]; do
    image=$(awk -v part="\"$1\"" 'substr($0, length($1) + 2) == part { print $1; exit }' "$run/taken")
    [ -z "$image" ] || has_image "$2" || { printf '%s\n' "$2" >>"$u.tags" && bounded 60 docker tag -- "$image" "$2"; } || return
    shift 2
  done
}

undo_take_images() {
  [ -e "$u.tags" ] || return 0
  while read -r tag; do ! has_image "$tag" || bounded 60 docker rmi -- "$tag" || :; done <"$u.tags"
}

do_network() { # NAME
  ! bounded 60 docker network inspect --format . -- "$1" >/dev/null 2>&1 || return 0
  note made && bounded 60 docker network create --label portoser=shared -- "$1"
}

undo_network() { # others may use it by now
  ! noted made || bounded 60 docker network rm -- "$1" || :
}

owned_up() { # PROJECT SERVICE [adopt]: whether the containers in $run/ps are this service's: nobody could bring back another's
  while read -r name rest; do
    rest=${rest##* }
    owner=$(bounded 10 docker inspect --format '{{index .Config.Labels "portoser.service"}}' "${rest%@*}") || return
    case $owner in
    "$2") continue ;;
    '') [ -z "$3" ] || continue; set -- "$1" 'was not brought up by portoser' ;;
    *) set -- "$1" "is of the service $owner, which \`portoser remove\` takes away but for its data" ;;
    esac
    printf 'the project %s is there already, and %s: container %s\n' "$1" "$2" "${name#/}"
    return 1
  done <"$run/ps"
}

do_hold_project() { # PROJECT CURRENT FOLDER [adopt]
  containers "$1" || return
  project_state
  mine=${2%/*} mine=${mine##*/}
  [ $state = none ] || [ -L "$2" ] || owned_up "$1" "$mine" "$4" || return
  if [ $state != none ] && [ ! -L "$2" ]; then
    # What is adopted is only looked at, as no release could bring it back; what a run of ours left behind need not come back.
    [ -n "$4" ] && state=foreign || state=none
  fi
  # It tells what was there before: without it, none would be.
  [ $state != none ] || { own_networks "$1" >"$u.networks" && flush "$u.networks"; } || return
  cp "$run/ps" "$u.before" && note $state && listed=$1
}

undo_hold_project() { # brings the project back to what it was, unless nothing ever touched it
  containers "$1" && be_patient || return
  if noted none; then
    forget_made "$3"
    take_down "$1" "$3" && own_networks "$1" >"$run/a" || return
    while read -r one; do
      grep -qxF -- "$one" "$u.networks" || bounded 60 docker network rm "$one" || :
    done <"$run/a"
    return
  elif noted foreign; then forget_made "$3"; return
  elif cmp -s "$run/ps" "$u.before"; then return 0
  fi
  # By the name of its release: by that of the link, what it mounts would be another folder, and its containers be made anew.
  before=$2
  [ ! -L "$2" ] || { target "$2" && before=${2%/*}/$text; }
  if noted runs; then
    compose "$before" up -d --no-build --remove-orphans && know_made "$1" "$before" && containers "$1" && project_state && [ $state = runs ]
  elif noted rests; then
    compose "$before" up --no-start --no-build --remove-orphans && know_made "$1" "$before" && compose "$before" stop
  fi
}

# How a container was made, as its compose tells and as `docker update` changes it: a JSON array, which the look asks for as well.
how_made='[{{json (index .Config.Labels "com.docker.compose.service")}},{{json (index .Config.Labels "com.docker.compose.config-hash")}},{{json (index .Config.Labels "com.docker.compose.version")}},{{json (index .HostConfig "Memory")}},{{json (index .HostConfig "MemorySwap")}},{{json (index .HostConfig "MemoryReservation")}},{{json (index .HostConfig "NanoCpus")}},{{json (index .HostConfig "CpuShares")}},{{json (index .HostConfig "CpuQuota")}},{{json (index .HostConfig "CpusetCpus")}},{{json (index .HostConfig "PidsLimit")}},{{json (index .HostConfig "RestartPolicy")}}]'

know_made() { # PROJECT FOLDER: notes how the containers of this release were made, so that it is seen when others change them
  notes=${2%/releases/*}/made
  { [ -e "$notes" ] || printf '' >"$notes"; } && containers "$1" && [ -s "$run/ids" ] &&
    bounded 60 docker inspect --format "{{.Id}} $how_made" $(cat "$run/ids") >"$run/a" && {
    printf '%s\n' "${2##*/}"
    # What was changed in a container that was there before is no less a change.
    awk 'FILENAME == ARGV[1] { known[$1] = $0; next } { print ($1 in known) ? known[$1] : $0 }' "$notes" "$run/a"
  } >"$notes.new" && mv -f "$notes.new" "$notes" || rm -f "$notes" "$notes.new"
}

forget_made() { rm -f "${1%/releases/*}/made" "${1%/releases/*}/made.new"; } # FOLDER

awaken() { # lets go on what is paused in $run/ps, which compose leaves as it is; its health was asked in vain until then
  while read -r name status starts code policy health life; do
    [ "$status" = paused ] || continue
    printf '%s\n' "$life" >>"$run/awakened"
    bounded 60 docker unpause "${life%@*}" || return
  done <"$run/ps"
}

roomy() { # whether the engine can make a container: the older compose stops what runs before it finds out
  info=$(bounded 60 docker info --format "$store_words") || return 0
  store "$info"
  for one in "$root" "$lies"; do
    [ -d "$one" ] || continue
    free=$(df -Pk "$one" | awk 'END { print $4 }')
    case $free in '' | *[!0-9]*) continue ;; esac
    [ "$free" -ge 1024 ] || { printf 'only %s KiB are free in %s, where the engine makes containers\n' "$free" "$one"; return 1; }
  done
}

start_one() { # FOLDER: the only container of $run/ps that is down, where no other was made since; compose would look at all of it anew
  notes=${1%/releases/*}/made down=''
  { read -r made <"$notes"; } 2>/dev/null && [ "$made" = "${1##*/}" ] || return
  while read -r name status starts code policy health life; do
    case $down$status in
    running | ??*running) ;;
    exited) down=${life%@*} ;;
    *) return 1 ;;
    esac
    printf '%s\n' "${life%@*}"
  done <"$run/ps" >"$run/a" && [ -n "$down" ] || return
  # Neither one more nor one less.
  while read -r one made; do
    [ "$one" = "${1##*/}" ] || printf '%s\n' "$one"
  done <"$notes" | sort >"$run/b" && sort "$run/a" | cmp -s - "$run/b" && bounded 60 docker start "$down"
}

do_project() { # PROJECT FOLDER CHANGE [SIGNAL]
  # Where it was held by the step before, it is known; before another change images are fetched, which takes its time.
  case $listed:$3 in "$1:start" | "$1:stop" | "$1:restart") ;; *) containers "$1" || return ;; esac
  listed=''
  [ "$3" != start ] || ! start_one "$2" || return 0
  be_patient && project_state || return
  case $state:$3 in runs:up | runs:beside | runs:recreate) roomy || return ;; esac
  case $3 in up | start | renew | recreate | restart) awaken || return ;; esac
  case $3 in
  beside) # What is old is no part of this release's files, and must not be mistaken for a leftover.
    compose "$2" up -d --no-build ;;
  alone) alone "$1" "${2##*/}" ;;
  take) take_project "$@" || return ;;
  up | start) compose "$2" up -d --no-build --remove-orphans ;;
  renew) # What is down is started; where all of it runs, and is not well, it is started anew.
    containers "$1" || return
    while read -r name status rest; do
      [ "$status" = running ] || { compose "$2" up -d --no-build --remove-orphans; return; }
    done <"$run/ps"
    compose "$2" up -d --no-build --remove-orphans && compose "$2" restart ;;
  recreate) compose "$2" up -d --no-build --remove-orphans --force-recreate ;;
  stop) compose "$2" stop ;;
  restart) compose "$2" restart ;;
  reload) compose "$2" kill -s "$4" ;;
  down) left_behind "$1" && take_down "$1" "$2" && forget_made "$2" && tell_left "${2%/releases/*}" "$1" ;;
  esac || { project_says "$1"; return 1; }
  case $3 in up | start | beside | take | renew | recreate) know_made "$1" "$2" ;; esac
}

own_networks() { bounded 60 docker network ls --format '{{.Name}}' --filter "label=com.docker.compose.project=$1"; }

take_down() { # PROJECT FOLDER: its containers go, those of other files and `run` too; compose would take networks along
  compose "$2" stop || :
  all_of "$1" || return
  [ -s "$run/ids" ] || return 0
  bounded "$unit_within" docker stop $(cat "$run/ids") || :
  # One of `run --rm` goes by itself once it is stopped. What counts is what is still there.
  times=0
  until bounded 60 docker rm $(cat "$run/ids") >"$run/a" 2>&1; do
    all_of "$1" || return
    [ -s "$run/ids" ] || return 0
    times=$((times + 1))
    [ $times -le 10 ] || { cat "$run/a"; return 1; }
    nap 0.5
  done
}

all_of() { # PROJECT: its containers, those of `run` too, in $run/ids
  bounded 60 docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$1" >"$run/ids" || { cat "$run/ids"; return 1; }
}

alone() { # PROJECT RELEASE: takes away the containers of other releases
  containers "$1" "$2" && cp "$run/ids" "$run/a" && containers "$1" || return
  while read -r one; do
    grep -qxF -- "$one" "$run/a" || { bounded "$unit_within" docker stop "$one" && bounded 60 docker rm "$one"; } || return
  done <"$run/ids"
}

take_project() { # PROJECT FOLDER take
  containers "$1" || return
  project_state
  case $state in
  none) compose "$2" up -d --no-build --remove-orphans || { project_says "$1"; return 1; }; return ;;
  rests) printf 'the project %s does not run, so it cannot be taken over\n' "$1"; return 1 ;;
  esac
  compose "$2" plain config '--hash=*' >"$run/b" || { cat "$run/b"; return 1; }
  part='{{index .Config.Labels "com.docker.compose.service"}} {{index .Config.Labels "com.docker.compose.config-hash"}}'
  bounded 60 docker inspect --format "$part" $(cat "$run/ids") >"$run/a" || { cat "$run/a"; return 1; }
  { grep -vxFf "$run/a" "$run/b"; grep -vxFf "$run/b" "$run/a"; } | cut -d ' ' -f 1 | sort -u >"$run/wrong"
  [ ! -s "$run/wrong" ] || {
    printf 'the project %s does not run as its compose file says: %s\n' "$1" "$(tr '\n' ' ' <"$run/wrong")"
    return 1
  }
}

allocated() { # says which container holds the port that docker could not give
  port=$(sed -n 's/.*:\([0-9]*\) failed: port is already allocated.*/\1/p' "$run/tail" | tail -n 1)
  [ -n "$port" ] || return 0
  bounded 10 docker ps --filter "publish=$port" --format '{{.Names}}' >"$run/a" || return 0
  while read -r name; do say evidence "port $port is held by container $name"; done <"$run/a"
}

undo_project() { :; } # what was held does it

project_says() { # PROJECT [RELEASE]: the state of what does not run, and its last words, as evidence
  containers "$@" || return
  while read -r name status starts code policy health life; do
    [ "$status $starts $health" != 'running 0 healthy' ] && [ "$status $starts $health" != 'running 0 -' ] || continue
    name=${name#/}
    printf 'container %s is %s, exit code %s, started again %s times, health %s\n' "$name" "$status" "$code" "$starts" "$health"
    why=$(docker inspect --format '{{if .State.OOMKilled}}it was killed by the OOM killer{{end}} {{.State.Error}}' "${life%@*}")
    [ "$why" = ' ' ] || printf '%s\n' "$why"
    [ "$health" = - ] || docker inspect --format '{{with index .State "Health"}}{{range .Log}}{{.Output}}{{end}}{{end}}' "${life%@*}" | tail -n 3
    bounded 10 docker logs --tail 12 "${life%@*}" 2>&1
  done <"$run/ps"
}

wait_project() { # SECONDS PROJECT [RELEASE]
  first=none
  holding "$1" project_steady "$2" "$3" || {
    printf 'the project %s does not run\n' "$2"
    project_says "$2" "$3"
    return 1
  }
  printf '%s %s\n' "$2" "$3" >"$u.project"
}

project_steady() { # PROJECT [RELEASE]: two looks must agree that all of it runs, or has done its work once, and that it is the same containers
  containers "$@" || return
  whole=''
  while read -r name status starts code policy health life; do
    # One that runs as it ran before this run tells nothing by how often it was started until then.
    ! grep -qsF -- "$life" "$run"/undo/*.before || starts=0
    [ "$health" != unhealthy ] || ! grep -qsxF -- "$life" "$run/awakened" || status=awakened
    # How often it was started again stands first: an exit code must not be taken for it.
    case $starts:$status:$code:$policy:$health in
    *:awakened:*) first=none; return 1 ;;
    0:running:*:unhealthy | *:exited:[1-9]*:no:* | *:dead:*) hopeless=yes; return 1 ;;
    0:running:* | *:exited:0:no:* | *:exited:0:on-failure:*) whole="$whole $life" ;;
    [0-2]:*) first=none; return 1 ;;
    *) hopeless=yes; return 1 ;;
    esac
  done <"$run/ps"
  [ -n "$whole" ] || { first=none; return 1; }
  [ "$first" != "$whole" ] || return 0
  first=$whole
  return 1
}

stay_projects() { # STAGE: whether the projects that were waited for still run, without having been started again
  for one in "$run/undo/$1".*.project; do
    [ -e "$one" ] && read -r held_project held_release <"$one" || return 0
    first='' hopeless=''
    project_steady "$held_project" "$held_release"
    project_steady "$held_project" "$held_release" || {
      printf 'it did not stay up\n'
      project_says "$held_project" "$held_release"
      return 1
    }
  done
}
