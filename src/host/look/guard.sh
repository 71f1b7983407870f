# What hangs costs only its own answer. One process stands by for all questions of a look: each answer and each `bounded` program tells
# it that the script goes on. When nothing did for too long, it ends the program that hangs, and says so before the answer that is
# short of it. It ends by itself when the script is gone, and after a minute, as nobody waits for an answer for so long.
guard() {
  trap 'went=yes' USR1
  trap 'went=yes any=yes' USR2
  any= went= still=0 most=5 turns=0 sign=
  while [ "$turns" -lt 60 ] && sleep 1 >/dev/null 3>&- && kill -0 $$; do
    turns=$((turns + 1))
    still=$((still + 1))
    if [ -n "$went" ]; then went= still=0 sign=; fi
    [ "$((still + 1))" -ge "$most" ] || continue
    hung || continue
    say "late/$still" "$what"
    # What it starts meanwhile would outlive it, and keep whoever waits for the answer: who is stopped starts nothing.
    kill -STOP $all
    set -- $all
    table=$(processes)
    below "$1"
    kill -9 $all
    # Whoever hangs once may do so again, and all of it has a deadline.
    still=0 most=2
  done
}

hung() { # leaves in `what` the name of the program that hangs, and in `all` it and what it started
  self=$(exec sh -c 'echo "$PPID"')
  table=$(processes)
  below $$
  what=${other#* * }
  if [ -n "$other" ]; then
    mine=$other
    below "${other%% *}"
  else
    # A shell waits for a file itself.
    what=sh all=${last%% *} mine=$last spent=
  fi
  [ -n "$all" ] || return
  before=$sign sign="$mine$spent"
  [ "$still" -ge "$most" ] || return
  [ -z "$any" ] || return 0
  # At first there are questions that take their time: docker has more than others, and so has who uses the processor.
  case $what in timeout | docker) [ "$still" -ge 12 ] ;; *) [ "$sign" = "$before" ] || [ "$still" -ge 20 ] ;; esac
}

processes() { # PID PARENT TIME NAME of each; the time that it used the processor
  [ -r "/proc/$$/stat" ] || { ps -A -o pid= -o ppid= -o time= -o comm=; return; }
  for one in /proc/[0-9]*/stat; do
    line=
    # A process may have a newline in its name.
    while read -r piece; do line="$line $piece"; done <"$one"
    [ -n "$line" ] || continue
    name=${line#*"("} rest=${line##*") "} one=${one%/stat}
    set -- $rest
    printf '%s %s %s %s\n' "${one##*/}" "$2" "$((${12:-0} + ${13:-0}))" "${name%")"*}"
  done
}

# Leaves in `all` the process with all below it, in `spent` their time, in `last` the lowest of them, and in `other` the last program
# that a shell started, with their time.
below() { # PID
  all=" $1 " grown=yes others=' ' other= last= spent=
  while [ -n "$grown" ]; do
    grown=
    while read -r pid parent time name; do
      name=${name##*/}
      case "$all$self " in *" $pid "*) continue ;; esac
      case $all in *" $parent "*) all="$all$pid " spent="$spent $time" last="$pid $time" grown=yes ;; *) continue ;; esac
      case $others$name in *" $parent "*) others="$others$pid " ;; *sh | *busybox) ;; *)
        others="$others$pid " other="$pid $time $name" ;;
      esac
    done <<END
$table
END
  done
}

bounded() { # PROGRAM ARG...: has time of its own
  tick
  "$@" </dev/null
}

trap '' USR1 USR2
guard &
dog=$!
trap - USR1 USR2
