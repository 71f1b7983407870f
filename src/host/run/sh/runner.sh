# The runner: carries the stages of one run through, and leaves each service old or new, whatever happens to it.
# What was decided lies in $run/stage as empty files; the journal tells it to those who follow.
base=$1 id=$2 run=$1/runs/$2 signs=$1/runs/$2 tickets=$1/queue leases=$1/lock uid=${4:-$(id -u)} rename='' limit='' wake='' ticker='' patient='bounded 60' loaded='' looked='' listed='' up=0.00
umask 077
cd /
launchd=no # as the look has it, from which the steps were made
if [ ! -d /run/systemd/system ] || ! command -v systemctl >/dev/null; then
  ! command -v launchctl >/dev/null || launchd=yes
fi

clock() { # /proc/uptime is read without a process, and does not jump
  epoch=$(date +%s)
  { read -r up rest </proc/uptime; } 2>/dev/null && started=$((${up%.*}00 + 1${up#*.} - 100)) || started=''
}

now() { # sets $now to hundredths of seconds since 1970
  if [ -n "$started" ]; then
    read -r up rest </proc/uptime
    now=$((epoch * 100 + ${up%.*}00 + 1${up#*.} - 100 - started))
  else
    now=$(date +%s)00
  fi
}

say() { # one event is one line
  now
  line=$((line + 1))
  printf '%s %d.%02d %s\n' "$line" $((now / 100)) $((now % 100)) "$*" >>"$run/journal"
  for ear in "$run"/ears/*; do poke "$ear"; done
  # That nobody listens is no failure.
  :
}

poke() { [ -p "$1" ] && printf '\n' 1<>"$1"; }

nap() { sleep "$1" 2>/dev/null || sleep 1; }

mark() { printf '' >"$run/stage/$1"; }

marked() { [ -e "$run/stage/$1" ]; }

ordered() { [ -e "$run/orders/$1" ]; }

heard() { # whether the controller gave a sign of life lately
  [ "$contact" -gt 0 ] || return 0
  now
  if ordered here; then
    rm -f "$run/orders/here" "$run/orders/gone"
    sign=$now
  fi
  patience=$contact
  # One that hung up comes back at once, or not at all.
  if ordered gone && [ "$patience" -gt 10 ]; then patience=10; fi
  [ $((now - sign)) -lt $((patience * 100)) ]
}

await() { # TIME ORDER...: waits for one of these orders and sets $order to it (to `gone` without a controller); fails at the time
  until=$1
  shift
  if [ -z "$wake" ] && [ -p "$run/wake" ]; then
    exec 5<>"$run/wake"
    wake=yes
    while sleep 1 && kill -0 $$; do printf '\n' >&5; done >/dev/null 2>&1 &
    ticker=$!
  fi
  while :; do
    for order; do ! ordered "$order" || return 0; done
    heard || { order=gone; return 0; }
    now
    [ "$now" -lt "$until" ] || return 1
    if [ -n "$wake" ]; then read -r woken <&5; else nap 0.1; fi
  done
}

in_hand() { # notes this very process, so that whoever settles after us can end it first
  { read -r pid rest </proc/self/stat; } 2>/dev/null || return 0
  born "$pid"
  printf '%s %s %s\n' "$pid" "$born" "$boot" >"$run/hand"
}

bounded() { # SECONDS WORDS...: runs the words, and ends them when they take longer
  if [ -z "$limit" ]; then
    if timeout -k 5 5 true 2>/dev/null; then limit=timeout; else limit=watch; fi
  fi
  seconds=$1
  if [ "$limit" = timeout ]; then
    (in_hand && exec timeout -k 5 "$@") </dev/null 5>&-
    rc=$?
  else
    shift
    (in_hand && exec "$@") </dev/null 5>&- &
    child=$!
    (sleep "$seconds" && kill "$child" && sleep 5 && kill -9 "$child") </dev/null >/dev/null 2>&1 5>&- &
    watch=$!
    wait "$child"
    rc=$?
    kill "$watch" 2>/dev/null
    [ "$rc" != 143 ] || rc=124
  fi
  printf '' >"$run/hand"
  # busybox answers 143 for what it ended.
  case $rc in 124 | 137 | 143) [ -e "$run/deserted" ] || printf 'it took longer than %s s\n' "$seconds" ;; esac
  return "$rc"
}

minded() { # SECONDS WORDS...: the same, and it ends before its time when nobody waits for it any more
  rm -f "$run/deserted"
  (mind) </dev/null >/dev/null 2>&1 5>&- &
  minder=$!
  bounded "$@"
  set -- $?
  kill "$minder" 2>/dev/null
  if [ -e "$run/deserted" ]; then
    read -r why <"$run/deserted"
    printf '%s\n' "$why"
  else # signs of life went to the minder
    now
    sign=$now
  fi
  return "$1"
}

mind() { # ends what is in hand when the controller is lost, or wants it to stop
  while sleep 1 && kill -0 $$; do
    if ordered stop; then why='it was told to stop'
    elif [ "$lost" = undo ] && ! heard; then why="nobody gave a sign of life for $patience s, so it was ended"
    else continue; fi
    printf '%s\n' "$why" >"$run/deserted"
    end_hand
  done
}

end_hand() {
  lives "$run/hand" || return 0
  kill "$pid" 2>/dev/null
  for try in 1 2 3 4 5 6 7 8 9 10; do
    lives "$run/hand" || return 0
    nap 0.5
  done
  kill -9 "-$pid" "$pid" 2>/dev/null
}

takes() { # NAME: whether the disk takes a file of 64 KiB, which no file system can store as less
  why=$({ head -c 65536 /dev/urandom >"$run/$1"; } 2>&1) || { rm -f "$run/$1"; return 1; }
}

evidence() { # the last lines that the step said; on a full disk it could not say any
  if takes room; then rm -f "$run/room"; else say evidence "${why:-cannot write in $run}"; fi
  tail -n 20 "$run/out" | cut -c 1-1000 | tr -d '\000\r' >"$run/tail"
  while IFS= read -r text || [ -n "$text" ]; do say evidence "$text"; done <"$run/tail"
  case $(tr '[:upper:]' '[:lower:]' <"$run/tail") in
  *'port is already allocated'*) allocated ;;
  *'address already in use'* | *'address is already in use'* | *eaddrinuse*) listeners ;;
  esac
}

step() { # do|undo STAGE NUMBER
  act=$1 u=$run/undo/$2.$3
  "step_$2_$3" >"$run/out" 2>&1
  rc=$? # the step's own: what it ran in bounds left another one there
  return $rc
}

carry() { # STAGE: its steps in order; after a failure all is back as it was
  nth=0
  mark "$1.begun" || { say note 'the disk takes no more'; back "$1" failed; return 1; }
  while [ $nth -lt "$steps" ]; do
    nth=$((nth + 1))
    if ordered stop; then back "$1" stop; return 1; fi
    eval "what=\$what_$1_$nth"
    say begin "$1" $nth "$what"
    # What cannot be noted must not be done, as nobody would undo it; and the way back writes down what the host answers, for which
    # room is taken while there is some.
    { rc=1 && { [ -e "$run/spare" ] || takes spare; } && printf '' >"$run/undo/$1.$nth.begun" && step do "$1" $nth; } || {
      if ordered stop && [ -e "$run/deserted" ]; then back "$1" stop; return 1; fi
      say failed "$1" $nth $rc
      evidence
      back "$1" failed
      return 1
    }
    say "done" "$1" $nth
  done
  sign_out
  mark "$1.switched" || { back "$1" failed; return 1; }
  say switched "$1"
}

back() { # STAGE WHY: undoes the stage, last step first; a step that fails is tried once more, and stops no other
  "stage_$1"
  rm -f "$run/spare"
  mark "$1.back"
  dismiss
  say undoing "$1" "$2"
  forget "$1"
  sign_out
  nth=$steps stuck=''
  while [ "$nth" -gt 0 ]; do
    if [ -e "$run/undo/$1.$nth.begun" ]; then
      step undo "$1" "$nth" || { nap 1; step undo "$1" "$nth"; } || {
        stuck=yes
        say undo-failed "$1" "$nth" $rc
        evidence
      }
    fi
    nth=$((nth - 1))
  done
  if [ -n "$stuck" ]; then
    mark "$1.stuck"
    say stuck "$1"
  else
    rm -f "$run/stage/$1.stuck"
    mark "$1.undone" || { rm -rf "$run/payload" "$run/trees" && mark "$1.undone"; } # on a full disk
    say undone "$1"
  fi
  rm -f "$run/shut" # another stage may have guests still
}

kept() { # STAGE proven|unproven
  [ "$2" = unproven ] || prove "$1"
  mark "$1.kept"
  flush "$run/journal" # what was promised holds after a crash of the host, too
  say kept "$1" "$2"
}

prove() { # STAGE: the host's own record of the releases that were proven here
  now
  book=$base/services/$service/proven
  [ -n "$release" ] && [ -d "${book%/*}" ] || return 0
  umask 022
  {
    [ ! -e "$book" ] || others "$id" | tail -n 99
    printf '%s %s %s %s\n' "$release" "$id" $((now / 100)) "$who"
  } >"$book.tmp-$id" && mv -f "$book.tmp-$id" "$book"
  umask 077
}

others() { grep -v "^[^ ]* $1 " "$book"; }

forget() { # STAGE: what was taken back is not proven any more
  book=$base/services/$service/proven
  marked "$1.kept" && [ -e "$book" ] || return 0
  umask 022
  others "$id" >"$book.tmp-$id"
  if [ -s "$book.tmp-$id" ]; then mv -f "$book.tmp-$id" "$book"; else rm -f "$book.tmp-$id" "$book"; fi
  umask 077
}

finish() { # what remains to be done for the stages that were kept, and the one word for how the run ended
  outcome=nothing stage=0
  while [ $stage -lt "$stages" ]; do
    stage=$((stage + 1))
    "stage_$stage"
    if marked $stage.stuck; then
      outcome=rollback-failed
    elif marked $stage.undone; then
      [ $outcome = rollback-failed ] || outcome=rolled-back
    elif marked $stage.kept; then
      [ $outcome != nothing ] || outcome=committed
      "purge_$stage" >"$run/out" 2>&1 || evidence
      number=0
      while [ $number -lt "$after" ]; do
        number=$((number + 1)) act=do u=$run/undo/after
        "after_${stage}_$number" >"$run/out" 2>&1 || { say note "after the run: step $number failed"; evidence; }
      done
    fi
  done
}

close() { # OUTCOME: keeps the record, and nothing else. Who reads the end may count on the lock being free.
  [ -z "$ticker" ] || kill "$ticker" 2>/dev/null
  dismiss
  forget_logins
  (cd "$run" && rm -rf payload trees spare undo out tail a b left config whole lease hand deserted shut awakened)
  now
  printf '%s %s\n' "$1" $((now / 100)) >"$run/end"
  [ -z "$lease_number" ] || release
  # Before the word: who hears it may send the same run once more, and its script is not ours to remove.
  rm -f "$run/steps" "$run/run.sh"
  say end "$1"
}

thin() { # keeps the last twenty records, and what ended lately: its follower may not have opened it yet, and its controller may be
  # about to send the run once more under this name, as its plan was stale
  set --
  for one in "$base"/runs/*; do [ ! -e "$one/end" ] || set -- "$@" "$one"; done
  now
  while [ $# -gt 20 ]; do
    ended=''
    { read -r found ended <"$1/end"; } 2>/dev/null
    case $ended in '' | 0* | *[!0-9]*) ended=0 ;; esac
    # Whoever is sent once more takes the name at any moment: what lies there by now may live. And out of sight at once: a record
    # without its end looks like a run that stopped.
    if [ $((now / 100 - ended)) -ge 600 ] && [ -e "$1/end" ] && mv "$1" "$base/runs/.new-thin-$$"; then
      if [ -e "$base/runs/.new-thin-$$/end" ]; then rm -rf "$base/runs/.new-thin-$$"; else mv "$base/runs/.new-thin-$$" "$1"; fi
    fi
    shift
  done
  for one in "$base"/runs/.new-*; do
    [ ! -d "$one" ] || kill -0 "${one##*-}" 2>/dev/null || rm -rf "$one"
  done
}

stale() { # whether `current` of a service is not what the plan was made for
  stage=0
  while [ $stage -lt "$stages" ]; do
    stage=$((stage + 1))
    "stage_$stage"
    found=
    if [ -L "$base/services/$service/current" ]; then
      target "$base/services/$service/current"
      found=${text##*/}
    fi
    [ "$found" = "$expect" ] || { say stale $stage "$(printf '%s' "$found" | tr -c '0-9A-Za-z' '?')"; return 0; }
  done
  return 1
}

settle_others() { # finishes what earlier runs left open, with the scripts that they brought
  for other in "$base"/runs/*; do
    [ -d "$other" ] && [ ! -e "$other/end" ] && [ "$other" != "$run" ] && ! lives "$other/runner" || continue
    say settling "${other##*/}"
    for try in 1 2 3; do # it may be killed, too
      [ -e "$other/end" ] || sh "$other/run.sh" "$base" "${other##*/}" settle </dev/null >>"$run/log" 2>&1
    done
    found=rollback-failed
    { read -r found ended <"$other/end"; } 2>/dev/null || printf '%s\n' "$found" >"$other/end"
    say settled "${other##*/}" "$found"
    [ "$found" != rollback-failed ] || return 1
  done
}

settle() { # this run stopped in the middle: decides as it would have decided itself
  end_hand
  stage=$stages
  while [ "$stage" -gt 0 ]; do
    "stage_$stage"
    if marked "$stage.undone"; then :
    elif holds "$stage" && ! ordered "undo.$stage"; then :
    elif ! marked "$stage.begun"; then :
    elif marked "$stage.back" || ! marked "$stage.switched" || ordered "undo.$stage" || ordered stop; then back "$stage" settled
    elif ordered "keep.$stage"; then kept "$stage" proven
    elif [ "$lost" = keep ]; then kept "$stage" unproven
    else back "$stage" settled; fi
    stage=$((stage - 1))
  done
  finish
  close "$outcome"
}

begin() { # the run's own life
  born $$
  mine=$born
  printf '%s %s %s\n' $$ "$mine" "$boot" >"$run/me" && mv -f "$run/me" "$run/runner" || exit 1
  now
  sign=$now
  if [ "$contact" -gt 0 ]; then closing=''; else closing=yes; fi
  say run "$stages" "$who"
  # Whoever kills us must not leave a password behind.
  hide_logins
  [ ! -d "$signs/logins" ] || (while sleep 1 && lives "$run/runner"; do :; done; forget_logins) </dev/null >/dev/null 2>&1 &
  if [ -n "$within" ]; then
    enter "$within" || { say note "$within does not hold the lock any more"; close stale; exit; }
  else
    lock "$wait_lock" "$place"
  fi
  case $? in
  0) ;;
  1) close lock-timeout; exit ;;
  2) close nothing; exit ;;
  *) say note 'the lock cannot be written'; close nothing; exit ;;
  esac
  # Somebody may have held us for dead before we began, and settled us.
  [ ! -e "$run/end" ] || { [ -z "$lease_number" ] || release; exit; }
  flush "$run/steps" "$run/run.sh"
  if { [ -z "$within" ] && ! settle_others; } || stale; then
    outcome=stale
  else
    # Said only now: who hears it may count on the plan still being true.
    say locked "${lease_number:-0}"
    walk
    finish
  fi
  thin
  close "$outcome"
}

clock
line=0 lease_number=''
while read -r last; do line=$((line + 1)); done <"$run/journal"
if [ -n "$last" ]; then # a line that was cut off by a crash
  printf '\n' >>"$run/journal"
  line=$((line + 1))
fi
. "$run/steps"
case $3 in
run) begin ;;
settle) settle ;;
esac
