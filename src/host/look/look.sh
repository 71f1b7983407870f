# The look: asks a host all questions in one breath, with few processes, and changes nothing; what seems closed is tried with an
# empty folder that is taken away at once.
# Each answer is `@KEY LENGTH`, a newline, LENGTH bytes, a newline; so that no answer can pass for another.
LC_ALL=C; export LC_ALL
# With these, `ls` and `grep` would answer in other words, and `cd` would go elsewhere.
unset TIME_STYLE QUOTING_STYLE GREP_OPTIONS CDPATH
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH
printf '\n@portoser-look 1\n\n'
# The answers have a stream of their own, so that what a function prints can be its result.
exec 3>&1 2>/dev/null
projects=
brought=0
way=
dog=
hung=' '

say() { # KEY ANSWER
  printf '@%s %s\n%s\n' "$1" "${#2}" "$2" >&3
  tick
}

tick() { [ -z "$dog" ] || kill "-${1:-USR1}" "$dog"; } # where a process stands by (guard.sh), it is told that the script goes on

host() { # BASE TOOL...
  base=$1; shift
  id=$(id); user=${id#uid=}; uid=${user%%\(*}; user=${user#*\(}; user=${user%%\)*}
  # It asks whoever knows users and groups, and that may be a server that hangs.
  [ -n "$id" ] || nameless
  if [ -z "$base" ]; then
    if [ "$uid" = 0 ]; then base=/opt/portoser; else base=$HOME/.local/share/portoser; fi
  fi
  init=none
  if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then init=systemd
  elif command -v launchctl >/dev/null; then init=launchd; fi
  tools=
  for tool; do command -v "$tool" >/dev/null && tools="$tools $tool"; done
  case "$tools " in *' docker '*) ! composes || tools="$tools compose" ;; esac
  say uid "$uid"; say user "$user"; say home "$HOME"; say base "$base"; say init "$init"; say tools "$tools"
  if [ "$init" = systemd ] && [ "$uid" != 0 ]; then
    # A login without PAM has none, and `systemctl --user` finds its manager by it.
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$uid}; export XDG_RUNTIME_DIR
    if [ -e "/var/lib/systemd/linger/$user" ]; then say linger yes; else say linger no; fi
  fi
  up=
  { read -r up rest </proc/uptime; } && say uptime "$up"
  system=$(uname -sm)
  [ -n "$system" ] || [ -z "$dog" ] || system='unknown unknown'
  say system "$system"; say clock "$(date +%s)"
  near=$(standing)
  if [ -z "$near" ]; then near=/ hung='*'; say base-hangs ''; say writable 'it hangs'; fi
  say disk "$(df -Pk "$near")"
}

nameless() { # who we are, as the kernel and the login have it
  while read -r key uid rest; do [ "$key" != Uid: ] || break; done <"/proc/$$/status"
  if [ "$uid" = 0 ]; then user=root; else user=${USER:-$LOGNAME}; fi
}

standing() { # prints the folder that stands where the base folder is or will be, and says how that is
  near=$base
  while [ ! -d "$near" ] && [ -n "$near" ]; do near=${near%/*}; done
  near=${near:-/}
  [ ! -r "$base/cordon" ] || say cordon "$(head -c 500 "$base/cordon")"
  # A read-only file system is told by the access check; asking for it costs no process and writes nothing. A shell that goes by the
  # mode alone (busybox) may be wrong in a no, and in a yes for root: there the mount is asked. A no is tried, and says why.
  why=yes
  for one in "$near" "$base/runs" "$base/services"; do
    if [ ! -d "$one" ] || { [ -w "$one" ] && ! frozen "$one"; }; then continue; fi
    one=$one/.portoser-$$
    # One that was left behind is no reason; that it can be taken away says the same.
    why=$(mkdir "$one" 2>&1) || [ -d "$one" ] || break
    why=$(rmdir "$one" 2>&1) || break
    why=yes
  done
  why=${why:-it takes no folder}
  # The folder's name may be long; what matters stands behind it.
  say writable "${why##*: }"
  printf '%s\n' "$near"
}

frozen() { # FOLDER: whether root's busybox stands before a mount that is read-only; a link on the way hides it
  { [ "$uid" = 0 ] && [ "/proc/$$/exe" -ef /bin/busybox ]; } || return
  point=/ options=
  while read -r device at kind how rest; do
    case $1/ in "${at%/}"/*) [ ${#at} -lt ${#point} ] || { point=$at options=$how; } ;; esac
  done </proc/mounts
  case ,$options, in *,ro,*) return 0 ;; esac
  return 1
}

apart() { # service|stray NAME: asked in a process of its own, so that a folder that hangs there is only that service's
  if [ "$hung" = '*' ]; then say "$2 hangs" 'the base folder'; return; fi
  met=$("$1" "$2")
  [ $? -lt 128 ] || { hung="$hung$2 "; say "$2 hangs" 'its folder'; }
  projects=$projects$met
}

lost() { # NAME: whether its folder hangs
  case $hung in '*' | *" $1 "*) return 0 ;; esac
  return 1
}

composes() { # whether docker has a compose, found without a process where that can be
  command -v docker-compose >/dev/null && return
  for folder in "$HOME/.docker" /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
    [ ! -x "$folder/cli-plugins/docker-compose" ] || return 0
  done
  docker compose version >/dev/null </dev/null
}

versions() { # of what services run with; the words that tell them are read by us
  for tool in docker python3 uv; do
    command -v "$tool" >/dev/null && say "version/$tool" "$("$tool" --version 2>&1 </dev/null)"
  done
  command -v docker >/dev/null && say 'version/compose' "$(docker compose version </dev/null)"
  [ "$init" != systemd ] || say 'version/systemd' "$(systemctl --version)"
}

pythons() { # VERSION...: which interpreter there is of each; an empty one is any
  for wanted; do
    for tool in "python$wanted" python3 python; do
      told=$("$tool" --version 2>&1 </dev/null) || continue
      case $told in "Python ${wanted:-3}."*) say "python/$wanted" "$told"; continue 2 ;; esac
    done
    # Those that uv manages are in no PATH.
    tool=$(uv python find --offline --no-project ${wanted:+"$wanted"} </dev/null) && say "python/$wanted" "$("$tool" --version)"
  done
}

drift() { # the manifest of the release we stand in
  manifest=.portoser/manifest
  [ -r "$manifest" ] || { say "$1 drift" "$(astray "$manifest: FAILED")"; return; }
  if command -v sha256sum >/dev/null; then hash=sha256sum; else hash='shasum -a 256'; fi
  # Without the option --quiet (busybox) every file has a line; the good ones are dropped here.
  $hash --quiet -c "$manifest" >/dev/null && return
  code=$?
  # What was ended because it hangs would hang again.
  [ "$code" -gt 128 ] && [ -n "$dog" ] || { told=$($hash -c "$manifest"); code=$?; }
  # What was ended by whomever has not seen all the files.
  if [ "$code" -gt 128 ]; then say "$1 drift-late" "\`${hash%% *}\` was ended by a signal"; return; fi
  say "$1 drift" "$(printf '%s\n' "$told" | grep -v ': OK$' | while IFS= read -r line; do astray "$line"; done)"
}

astray() { # LINE of the check: what is gone, and what is only closed to us, are called the same by it
  path=${1%: FAILED*} part=${1%: FAILED*}
  while [ ! -e "$part" ]; do
    # Where even the folder we stand in cannot be reached, nothing can be told.
    case $part in */?*) part=${part%/*} ;; .) break ;; *) part=. ;; esac
  done
  # A name with `\` is written in another way by the check: nothing is found by it, and it is not gone for that.
  case $path in *\\*) printf '%s\n' "$1"; return ;; esac
  if [ "$path" = "$1" ]; then printf '%s\n' "$1"
  elif [ ! -e "$part" ]; then printf '%s: cannot be read\n' "$path"
  elif [ "$part" != "$path" ]; then
    if [ ! -d "$part" ] || [ -x "$part" ]; then printf '%s: is missing\n' "$path"; else printf '%s: cannot be read\n' "$path"; fi
  elif [ ! -f "$path" ]; then printf '%s: was changed\n' "$path"
  elif [ ! -r "$path" ]; then printf '%s: cannot be read\n' "$path"
  else printf '%s: was changed\n' "$path"; fi
}

process() { # NAME INSTANCE: the supervised process in the folder process/INSTANCE
  at=process/$2 state=ended
  if sh "$at/supervise.sh" "$PWD/$at" status; then
    IFS= read -r state <"$at/pid"
    state="lives $state"
  elif [ -e "$at/supervisor" ]; then state=waits; fi
  again=0
  [ ! -r "$at/restarts" ] || IFS= read -r again <"$at/restarts"
  say "$1 process $2" "$state restarts $again"
}

service() { # NAME; prints the names of its compose projects
  cd "$base/services/$1" || return
  all=
  for one in releases/*/; do one=${one%/}; all="$all ${one##*/}"; done
  say "$1 releases" "$all"
  if [ -r proven ]; then
    all=
    while read -r one rest; do all="$all $one"; done <proven
    say "$1 proven" "$all"
  fi
  all= record=
  IFS= read -r record <current/.portoser/release.json
  for one in venvs/*/.portoser-complete; do
    one=${one%/*}
    # One whose interpreter was upgraded away, or that lacks something, is made anew.
    if [ -e "$one/.portoser-complete" ] && [ -x "$one/bin/python" ] && ! dead && ! lacks_of "$one"; then all="$all ${one#venvs/}"; fi
  done
  [ -z "$all" ] || say "$1 venvs" "$all"
  for one in process/*/supervise.sh; do
    [ ! -e "$one" ] || { one=${one%/*}; process "$1" "${one##*/}"; }
  done
  [ ! -r stopped ] || say "$1 stopped" "$(head -c 300 stopped)"
  cd -P current || return
  say "$1 current" "$PWD"
  record=
  IFS= read -r record <.portoser/release.json
  say "$1 record" "$record"
  # A quote inside of a text is escaped in JSON, so that no text can pass for these.
  case $record in *'"supervisor":"compose"'*)
    one=${record#*'{"name":"'}
    printf ' %s' "${one%%/*}"
    [ ! -r ../../made ] || made "$1" ;;
  esac
  drift "$1"
}

lacks_of() { # VENV: whether something is gone that was noted when it was made, which is in `gone` then; it costs no process
  [ -x "$1/lib" ] || return
  while IFS= read -r gone; do
    [ -e "$1/lib/$gone" ] || return 0
  done <"$1/.portoser-complete"
  return 1
}

dead() { # whether the interpreter of the environment in force does not start; only what is sent to make it anew hangs on that
  code=0
  case $record in *'"venv":{"id":"'"${one#venvs/}"'","wheels":"'*) "$one/bin/python" -ISc '' </dev/null >/dev/null || code=$? ;; esac
  # Who was ended by a signal says nothing.
  [ "$code" != 0 ] && [ "$code" -le 128 ]
}

made() { # NAME: how the containers of this release were made; it costs no process
  all=
  while IFS= read -r one; do
    all="$all$one
"
  done <../../made
  case $all in "${PWD##*/}
"*) ;; *) return ;; esac
  say "$1 made" "$all"
}

containers() { # NEEDED: of the projects that were met; where there are none, only whether docker answers, if that is needed
  [ -n "$projects$1" ] || return
  file=$(command -v docker) || { say blind 'docker is not on the host'; return; }
  # Podman's package has a script of that name.
  if [ "$(head -c 2 "$file")" = '#!' ] && grep -q podman "$file"; then
    say blind "the command $file is Podman's, which answers in other words than Docker's"
    return
  fi
  limit=
  command -v timeout >/dev/null && limit='timeout 10'
  # A container may go between the two questions; that is no answer, and they are asked once more. Who says nothing hangs, and
  # would again: the rest of the host is to be seen yet.
  if inspected || { [ -n "$all" ] && limit=${limit:+timeout 3} && inspected; }; then lived=yes
  else say blind "${all:-docker does not answer within 10 s}"; fi
}

inspected() { # leaves in `all` why there is no answer; each question has its own time
  answers=
  tick
  # In JSON no field is empty, and none has a tab in it.
  all=$($limit docker ps -a --no-trunc --format '{{.ID}}{{"\t"}}{{json (.Label "com.docker.compose.oneoff")}}{{"\t"}}{{json (.Label "com.docker.compose.project")}}{{"\t"}}{{json .Names}}{{"\t"}}{{json .Image}}' 2>&1) || return
  answers=yes
  [ -n "$projects" ] || return 0
  alike= tab=$(printf '\t')
  set --
  # A label may hold any text, and in JSON none of it is a line of its own.
  while IFS=$tab read -r one once project names image; do
    project=${project#\"} project=${project%\"} names=${names#\"} names=${names%\"}
    [ -n "$project" ] || { namesake "$names" "$image"; continue; }
    case "$projects " in *" $project "*) [ "$once" = '"True"' ] || set -- "$@" "$one" ;; esac
  done <<END || { all='what docker answers cannot be kept for reading'; return 1; }
$all
END
  [ -z "$alike" ] || say namesakes "$alike"
  [ $# -gt 0 ] || return 0
  tick
  # A line for us stands before each of those that are read elsewhere.
  all=$($limit docker inspect --format "$life
$inspect" "$@" 2>&1) || return
  lives=$all
  say containers "$all"
}

namesake() { # NAMES IMAGE: of a container that no compose made, the image in JSON; in `alike` are those that are called as if one of ours had
  for one in $projects; do
    case ,$1 in *,"$one"[-_]*) alike="$alike$1 $2
" ;; esac
  done
}

answers= lives= lived=
life='{{.Id}} {{.State.StartedAt}} {{json (index .Config.Labels "com.docker.compose.project")}}'

stray() { # NAME: with the units that its record names, where nobody has `asked` for them: the registry may not know it, or mean others
  record=
  service "$1"
  case $record in *'"supervisor":"compose"'* | *'"supervisor":"process"'*) return ;; esac
  # A quote inside of a text is escaped in JSON, so that no text can pass for these.
  rest=${record%%'],"user":'*} scope=system
  case $record in *'"scope":"user"'*) scope=user ;; esac
  set --
  while :; do
    case $rest in *'{"name":"'*) rest=${rest#*'{"name":"'} ;; *) break ;; esac
    case $asked in *" ${rest%%'"'*} "*) ;; *) set -- "$@" "${rest%%'"'*}" ;; esac
  done
  [ $# = 0 ] || units "$scope" "$@"
}

lying() { # the names of all services that lie here; it costs no process
  lying=
  for one in "$base"/services/*/current; do
    [ -L "$one" ] || continue
    one=${one%/current} one=${one##*/}
    case $one in *[!a-z0-9-]*) ;; *) lying="$lying $one" ;; esac
  done
  say lying "$lying"
}

besides() { # NAME...: whatever lies here besides these
  lying
  for one in $lying; do
    case " $* " in *" $one "*) ;; *) apart stray "$one" ;; esac
  done
}

past() { # NAME: the records of all its releases
  cd "$base/services/$1/releases" || return
  for one in */; do
    one=${one%/} record=
    IFS= read -r record <"$one/.portoser/release.json"
    say "$1 past $one" "$record"
  done
}

texts() { # NAME RELEASE [MARK PATH]...: files of a release (without one: that in force) that have another mark; large ones are not for reading
  at=${2:+releases/$2} key=text${2:+/$2}
  cd -P "$base/services/$1/${at:-current}" || return
  # Neither of two releases is shown without the other: each kind has room of its own.
  [ "$way" = "${2:+back}" ] || { way=back brought=0; }
  name=$1 record=; shift 2
  IFS= read -r record <.portoser/release.json
  while [ $# -gt 1 ]; do
    mark=$1 one=$2; shift 2
    [ -z "$mark" ] || case $record in *"\"$one\":\"$mark\""*) continue ;; esac
    [ -f "$one" ] && [ ! -L "$one" ] && [ -r "$one" ] || continue
    text=$(head -c 65537 "$one"; echo .) text=${text%.}
    [ "${#text}" -gt 65536 ] && continue
    brought=$((brought + ${#text}))
    [ "$brought" -gt 1048576 ] || say "$name $key $one" "$text"
  done
}

units() { # SCOPE UNIT...
  scope=$1; shift
  if [ "$init" = launchd ]; then
    if [ "$scope" = user ]; then domain=gui/$uid; else domain=system; fi
    for one; do # a job is named after the unit: portoser-api@2.service is portoser-api.2
      one=${one%.service}
      case $one in *@*) one=${one%@*}.${one##*@} ;; esac
      say "job/$one" "$(launchctl print "$domain/$one")"
    done
  fi
  [ "$init" = systemd ] || return
  say "units/$scope" "$(systemctl --"$scope" show \
    -p Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,MainPID,UnitFileState \
    -p ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic -- "$@")"
}
