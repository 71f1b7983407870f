# The follower: prints what the runner's journal says, and hands orders from standard input (descriptor 4) to the runner.
# It holds nothing that the run needs: when it dies, the run goes on.
tell() { printf '@run - %s\n' "$1"; }

poke() { [ -p "$1" ] && printf '\n' 1<>"$1"; } # wakes whoever listens at this pipe; never blocks, as we open both ends

orders() { # an order without its newline was cut, and is none
  while IFS= read -r order <&4; do
    case $order in
    go\ * | keep\ * | undo\ *)
      case ${order#* } in '' | *[!0-9]*) continue ;; esac
      order=${order%% *}.${order#* } ;;
    finish | here | stop) ;;
    *) continue ;;
    esac
    printf '' >"$run/orders/$order"
    poke "$run/wake"
  done
  printf '' >"$run/orders/gone" # who gave the orders has hung up; a sign of life by another takes it back
}

heed() { # waits for a word from the runner; at the latest for the next pulse
  if [ -n "$ear" ]; then read -r woken <&5; else sleep 0.1 || sleep 1; fi
}

follow() { # RUN SEEN
  run=$1 seen=$2 count=0 idle=0 part='' last='' ear="$1/ears/$$"
  [ -e "$run/journal" ] || { tell unknown; return; }
  if mkfifo "$ear" 2>/dev/null; then exec 5<>"$ear"; else ear=''; fi
  orders </dev/null >/dev/null 2>&1 &
  helpers=$!
  if [ -n "$ear" ]; then
    while sleep 1 && kill -0 $$; do poke "$ear"; done </dev/null >/dev/null 2>&1 4<&- &
    helpers="$helpers $!"
  fi
  exec 3<"$run/journal"
  until lines; do
    # The journal is read once more after the runner was found dead: its last words may have come in between.
    if [ -n "$last" ]; then
      if { read -r line ended <"$run/end"; } 2>/dev/null; then tell "end $line"; else tell orphaned; fi
      break
    fi
    # A runner that was asked for and does not begin counts as dead in the end; until then the receiver's name stands there, which
    # may have ended with its link.
    if { lives "$run/runner" || [ "$rest" = starting ]; } && [ "$rest $idle" != 'starting 20' ]; then heed; else last=yes; fi
    idle=$((idle + 1))
    case $idle in *[05]) tell lives || exit 1 ;; esac # who hears nothing for long takes us for hung
  done
  kill $helpers 2>/dev/null
  [ -z "$ear" ] || rm -f "$ear"
}

lines() { # prints what is new; true after the end
  while IFS= read -r line <&3; do
    line=$part$line part=''
    count=$((count + 1))
    [ "$count" -le "$seen" ] || printf '@run %s\n' "$line" || exit 1
    line=${line#* }
    case ${line#* } in end\ *) return 0 ;; esac
    last='' idle=0
  done
  part=$part$line
  return 1
}
