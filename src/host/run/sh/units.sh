# Steps on units and processes, and the probes. Every word to an init system has a deadline.
system() { # SCOPE WORDS...: systemctl, for the host or for the user
  scope=$1
  shift
  if [ "$scope" = user ]; then
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$uid}
    export XDG_RUNTIME_DIR
    bounded "$unit_within" systemctl --user "$@"
  else
    bounded "$unit_within" systemctl "$@"
  fi
}

look() { # SCOPE UNIT: sets $active, $sub, $restarts and $life, which is another one after every start
  active=unknown sub='' restarts='' life='' load='' entered='' pause='' looked=''
  if [ "$launchd" = yes ]; then
    job "$1" "$2"
    return
  fi
  system "$1" show -p ActiveState -p SubState -p NRestarts -p InvocationID -p LoadState \
    -p ActiveEnterTimestampMonotonic -p RestartUSec -- "$2" >"$run/show" || return
  while IFS='=' read -r key value; do
    case $key in
    ActiveState) active=$value ;;
    SubState) sub=$value ;;
    NRestarts) restarts=$value ;;
    InvocationID) life=$value ;;
    LoadState) load=$value ;;
    ActiveEnterTimestampMonotonic) entered=$value ;;
    RestartUSec) pause=$value ;;
    esac
  done <"$run/show"
  looked="$1 $2"
}

invocation() { # SCOPE UNIT: sets $life without asking systemd, where it leaves that behind as a link
  case $1 in
  user) link=${XDG_RUNTIME_DIR:-/run/user/$uid} ;;
  *) link=/run ;;
  esac
  link=$link/systemd/units/invocation:$2 life=''
  [ ! -L "$link" ] || life=$(readlink -- "$link")
}

runs() { case $active in active | reloading | activating) ;; *) return 1 ;; esac; }

do_hold_unit() { # SCOPE UNIT
  look "$1" "$2" || return
  if runs; then
    note "runs.$life"
  else
    [ "$active" != failed ] || note failed
    note rests
  fi
  [ "$load.$active" = not-found.inactive ] || loaded=yes
}

undo_hold_unit() { # brings the unit back, unless nothing ever touched it
  reload_units "$1" || return
  look "$1" "$2" || return
  if noted rests; then
    if runs; then change_unit "$1" "$2" stop && look "$1" "$2" || return; fi
    # It rests, which is what counts; systemd may have forgotten it by now, and then says so with a failure.
    if [ "$active" = failed ] && ! noted failed; then system "$1" reset-failed -- "$2"; fi
    return 0
  fi
  for before in "$u".runs.*; do before=${before##*.runs.}; done
  [ "$before" != '*' ] || return 0
  if runs && [ "$life" = "$before" ]; then return 0; fi
  # A unit that failed too often may not be started again before its count is put back.
  [ "$launchd" = yes ] || system "$1" reset-failed -- "$2" 2>/dev/null
  change_unit "$1" "$2" restart && look "$1" "$2" && runs
}

reload_units() { [ "$launchd" = yes ] || system "$1" daemon-reload; }

do_reload_units() { # it is dear, and a unit that systemd had not found is read when it is started
  [ -n "$loaded" ] || return 0
  reload_units "$1" && loaded='' looked=''
}

undo_reload_units() { :; }

do_unit() { # SCOPE UNIT CHANGE
  [ "$looked" = "$1 $2" ] || look "$1" "$2" || return
  runs || note rested
  # systemd (252, as of Debian 12) goes on counting where a restart meets what waits to be started again, and what runs well by then
  # would pass for a loop.
  case $launchd.$3.$active.$sub in
  yes.*) ;;
  no.restart.* | *.failed.* | *.auto-restart*) system "$1" reset-failed -- "$2" 2>/dev/null ;;
  esac
  # What waits to be started again is not started any sooner, and whoever asks for it waits, too.
  case $3:$sub in start:auto-restart*) set -- "$1" "$2" restart ;; esac
  change_unit "$1" "$2" "$3" || change_again "$1" "$2" "$3" || {
    unit_says "$1" "$2"
    return 1
  }
}

change_again() { # SCOPE UNIT CHANGE: when only the start limit was hit, which counts crashes and must not count deploys
  [ "$launchd" != yes ] || return 1
  system "$1" show -p Result -- "$2" >"$run/show" && read -r value <"$run/show" && [ "$value" = Result=start-limit-hit ] &&
    system "$1" reset-failed -- "$2" && change_unit "$1" "$2" "$3"
}

undo_unit() { # what systemd could not even load cannot be stopped, and need not be
  noted rested || return 0
  change_unit "$1" "$2" stop || { look "$1" "$2" && ! runs; }
}

change_unit() { # SCOPE UNIT CHANGE
  looked=''
  if [ "$launchd" = yes ]; then change_job "$@"; else system "$1" "$3" -- "$2"; fi
}

unit_says() { # the unit's last lines, as evidence
  if [ "$launchd" = yes ]; then return; fi
  set -- "--$1" "$2"
  bounded 10 systemctl "$1" show -p ActiveState,SubState,Result,ExecMainStatus,NRestarts -- "$2"
  if [ "$1" = --user ]; then set -- --user-unit "$2"; else set -- --unit "$2"; fi
  bounded 10 journalctl --quiet --no-pager -o cat -n 12 "$1" "$2"
}

# launchd, as launchctl(1) has it since macOS 10.11: a job is its label, and its file is named after it.
domain() { # SCOPE
  if [ "$1" = user ]; then domain=gui/$uid plist=$HOME/Library/LaunchAgents
  else domain=system plist=/Library/LaunchDaemons; fi
}

job() { # SCOPE LABEL: sets what `look` sets
  domain "$1"
  active=inactive
  bounded "$unit_within" launchctl print "$domain/$2" >"$run/show" 2>/dev/null || return 0
  while read -r key equals value; do
    case $key in
    state) [ "$value" != running ] || active=active sub=running ;;
    pid) life=$value ;;
    runs) restarts=$value ;;
    esac
  done <"$run/show"
}

log_of_job() { # LABEL: writes down where in the job's log that begins what it says from now on
  name=${1#portoser-} number=1
  case $name in *.*) number=${name##*.} name=${name%.*} ;; esac
  file=$base/services/$name/log.$number
  [ -d "$base/services/$name" ] || return 0
  size=0
  [ ! -e "$file" ] || size=$(wc -c <"$file")
  printf '%s\n' $size >"$file.start"
}

change_job() { # SCOPE LABEL CHANGE
  job "$1" "$2"
  case $3 in start | restart) log_of_job "$2" ;; esac
  loaded=yes
  [ -s "$run/show" ] || loaded=''
  case $3 in
  stop) [ -z "$loaded" ] || boot_out "$1" "$2" ;;
  start)
    if [ -n "$loaded" ]; then bounded "$unit_within" launchctl kickstart "$domain/$2"
    else bounded "$unit_within" launchctl bootstrap "$domain" "$plist/$2.plist"; fi ;;
  restart) # The file may be another one now, and is read at bootstrap only.
    [ -z "$loaded" ] || boot_out "$1" "$2" || return
    bounded "$unit_within" launchctl bootstrap "$domain" "$plist/$2.plist" ;;
  reload) bounded "$unit_within" launchctl kill SIGHUP "$domain/$2" ;;
  esac
}

boot_out() { # SCOPE LABEL: ends a job. launchctl says 36 (EINPROGRESS), and no more, of one that takes its time.
  now
  limit_at=$((now + unit_within * 100))
  bounded "$unit_within" launchctl bootout "$domain/$2"
  set -- "$1" "$2" $?
  while job "$1" "$2"; [ -s "$run/show" ]; do
    case $3 in 0 | 36) ;; *) return "$3" ;; esac
    now
    [ "$now" -lt "$limit_at" ] || { printf 'it did not stop within %s s\n' "$unit_within"; return 1; }
    nap 0.5
  done
}

do_hold_process() { # FOLDER
  if supervisor "$1"; then note "runs.$start"; else note rests; fi
}

undo_hold_process() {
  if noted rests; then
    ! supervisor "$1" || process "$1" stop
    return
  fi
  for before in "$u".runs.*; do before=${before##*.runs.}; done
  [ "$before" != '*' ] || return 0
  if supervisor "$1" && [ "$start" = "$before" ]; then return 0; fi
  process "$1" restart && supervisor "$1"
}

supervisor() { lives "$1/supervisor"; } # whether the process's supervising loop lives

process() { # FOLDER CHANGE
  [ -e "$1/supervise.sh" ] && cmp -s "$run/supervise.sh" "$1/supervise.sh" ||
    { cp "$run/supervise.sh" "$1/supervise.tmp" && mv -f "$1/supervise.tmp" "$1/supervise.sh"; } || return
  bounded "$unit_within" sh "$1/supervise.sh" "$1" "$2"
}

do_process() { # FOLDER CHANGE
  supervisor "$1" || note rested
  process "$1" "$2"
}

undo_process() { ! noted rested || [ ! -e "$1/supervise.sh" ] || process "$1" stop; }

listeners() { # says who listens on which TCP port, from proc(5)
  holders=' ' told=' '
  ls -l /proc/[0-9]*/fd 2>/dev/null >"$run/a"
  while read -r first rest; do
    case $first.$rest in
    /proc/*) holder=${first#/proc/} holder=${holder%%/*} ;;
    *'socket:['*) rest=${rest##*'socket:['} holders="$holders${rest%]}:$holder " ;;
    esac
  done <"$run/a"
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r slot local remote state queues timer retries owner timeout inode rest; do
      [ "$state" = 0A ] || continue
      port=$((0x${local##*:}))
      case $told in *" $port "*) continue ;; esac
      told="$told$port " holder=${holders#*" $inode:"} words=''
      if [ "$holder" = "$holders" ]; then
        say evidence "port $port is held by a process of user id $owner"
        continue
      fi
      holder=${holder%% *}
      { read -r words </proc/"$holder"/comm; } 2>/dev/null
      unit=''
      { while read -r group; do case $group in *.service) unit=", ${group##*/}" ;; esac; done </proc/"$holder"/cgroup; } 2>/dev/null
      say evidence "port $port is held by pid $holder ($words$unit)"
    done <"$table"
  done
}

# A wait is over when the probe holds, when its time is up, or when the run is told to stop.
holding() { # SECONDS PROBE WORDS...
  now
  limit_at=$((now + $1 * 100)) hopeless=''
  shift
  while ! "$@"; do
    [ -z "$hopeless" ] || return 1
    now
    [ "$now" -lt "$limit_at" ] || return 1
    ! ordered stop || { printf 'told to stop\n'; return 1; }
    nap 0.2
  done
}

wait_unit() { # SECONDS SCOPE UNIT
  first=none life=''
  [ "$launchd" = yes ] || invocation "$2" "$3"
  if [ -n "$life" ]; then
    first=$life
    nap 0.2
  fi
  holding "$1" steady "$2" "$3" || {
    printf 'it is %s (%s), started again %s times\n' "$active" "$sub" "${restarts:-0}"
    unit_says "$2" "$3"
    return 1
  }
  printf '%s\n' "$2" "$3" "$life" >"$u.life"
}

stays() { # STAGE: whether what was waited for still runs
  stay_units "$1" && stay_projects "$1"
}

stay_units() { # STAGE: a unit that was started again since must be up for the soak
  for one in "$run/undo/$1".*.life; do
    [ -e "$one" ] || return 0
    { read -r held_scope && IFS= read -r held_unit && read -r held_life; } <"$one" || continue
    look "$held_scope" "$held_unit"
    now
    # systemd counts microseconds from the host's start. In a container that has a start of its own this tells nothing.
    age=$((${up%.*}00 + 1${up#*.} - 100 - ${entered:-0} / 10000))
    if runs && { [ "$life" = "$held_life" ] || [ "$age" -lt 0 ] || [ "$age" -ge "$soak" ]; }; then continue; fi
    printf 'it did not stay up: it is %s (%s), started again %s times\n' "$active" "$sub" "${restarts:-0}"
    unit_says "$held_scope" "$held_unit"
    return 1
  done
}

steady() { # two looks must agree that it runs, and that it is the same process
  look "$1" "$2"
  # Nobody starts it again; or only after minutes, hours or days, when no wait goes on any more.
  case $active:$sub:$pause in failed:* | *:auto-restart:*[hdwy]* | *:auto-restart:*min*) hopeless=yes ;; esac
  case $active:$sub in active:running | active:exited | active:listening | active:mounted) ;; *) first=none; return 1 ;; esac
  [ "$first" != "${life:-$restarts}" ] || return 0
  first=${life:-$restarts}
  return 1
}

wait_process() { # SECONDS FOLDER
  first=''
  holding "$1" process_lives "$2" || {
    printf 'no process lives\n'
    [ ! -e "$2/log" ] || tail -n 12 "$2/log"
    return 1
  }
}

process_lives() {
  supervisor "$1" && lives "$1/pid" || { first=''; return 1; }
  [ "$first" != "$pid.$start" ] || return 0
  first=$pid.$start
  return 1
}

wait_port() { # SECONDS PORT
  port=$2 hex=$(printf '%04X' "$2")
  holding "$1" port_open || {
    printf 'nothing listens on port %s\n' "$port"
    return 1
  }
}

port_open() { # listening sockets are those in state 0A (proc(5))
  if [ -r /proc/net/tcp ]; then
    for table in /proc/net/tcp /proc/net/tcp6; do
      [ -r "$table" ] || continue
      while read -r slot local remote state rest; do
        case ${local##*:}.$state in "$hex.0A") return 0 ;; esac
      done <"$table"
    done
    return 1
  fi
  netstat -an -p tcp 2>/dev/null | grep LISTEN | grep -q "[.:]$port "
}
