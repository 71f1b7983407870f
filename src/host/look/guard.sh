# What hangs costs only its own answer. One process stands by for all questions of a look: each answer and each `bounded` program tells
# it that the script goes on. When nothing did for too long, it ends the program that hangs, and says so before the answer that is
# short of it. It ends by itself when the script is gone, and after a minute, as nobody waits for an answer for so long.
guard() { # at first only programs are ended that may hang and whose answers may be missing
  trap 'went=yes' USR1
  trap 'went=yes any=yes' USR2
  any= went= still=0 most=5 turns=0
  while [ "$turns" -lt 60 ] && sleep 1 >/dev/null && kill -0 $$; do
    turns=$((turns + 1))
    still=$((still + 1))
    if [ -n "$went" ]; then went= still=0; fi
    [ "$still" -ge "$most" ] || continue
    hung || continue
    say "late/$still" "$what"
    kill -9 $all
    # Whoever hangs once may do so again, and all of it has a deadline.
    still=0 most=2
  done
}

hung() { # leaves in `what` the name of the program that hangs, and in `all` it and what it started
  self=$(exec sh -c 'echo "$PPID"')
  table=$(processes)
  below $$
  if [ -n "$other" ]; then
    what=${other#* }
    below "${other%% *}"
  else
    what=sh all=$last
  fi
  [ -n "$all" ] || return
  [ -z "$any" ] || return 0
  case $what in df | systemctl | launchctl) ;; docker) [ "$still" -ge 10 ] ;; *) return 1 ;; esac
}

processes() { # PID PARENT NAME of each
  [ -r "/proc/$$/stat" ] || { ps -A -o pid= -o ppid= -o comm=; return; }
  for one in /proc/[0-9]*/stat; do
    line=
    read -r line <"$one"
    name=${line#*"("} rest=${line##*") "}
    rest=${rest#? }
    [ -z "$line" ] || printf '%s %s %s\n' "${line%% *}" "${rest%% *}" "${name%")"*}"
  done
}

# Leaves in `all` the process with all below it, in `last` the lowest of them, and in `other` the last program that a shell started.
below() { # PID
  all=" $1 " grown=yes others=' ' other= last=
  while [ -n "$grown" ]; do
    grown=
    while read -r pid parent name; do
      name=${name##*/}
      case "$all$self " in *" $pid "*) continue ;; esac
      case $all in *" $parent "*) all="$all$pid " last=$pid grown=yes ;; *) continue ;; esac
      case $others$name in *" $parent "*) others="$others$pid " ;; *sh | *busybox) ;; *)
        others="$others$pid " other="$pid $name" ;;
      esac
    done <<END
$table
END
  done
}

tick() { [ -z "$dog" ] || kill "-${1:-USR1}" "$dog"; }

bounded() { # PROGRAM ARG...: has time of its own
  tick
  "$@" </dev/null
}

trap '' USR1 USR2
guard &
dog=$!
trap - USR1 USR2
