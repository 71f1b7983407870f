# The walk: stages begin when they are told to, and are judged in any order, so that one can be proven while the next is at
# work. A kept stage can be called back until the controller says that all is over, because the rest of the fleet may fail.
walk() {
  shut=''
  # Without a contact to hold, nobody need be there: the first stage begins by itself.
  [ "$contact" -gt 0 ] || printf '' >"$run/orders/go.1"
  while attend; do :; done
  stage=$stages
  while [ "$stage" -gt 0 ]; do
    ! pending "$stage" || conclude "$stage"
    stage=$((stage - 1))
  done
}

holds() { marked "$1.kept" && ! marked "$1.undone" && ! marked "$1.stuck"; }

pending() { marked "$1.switched" && ! marked "$1.kept" && ! marked "$1.undone" && ! marked "$1.stuck"; }

conclude() { # STAGE: no verdict will come any more
  "stage_$1"
  case $order in
  late | gone)
    say late "$1"
    if [ "$lost" = keep ]; then kept "$1" unproven; else back "$1" late; fi ;;
  stop) back "$1" stop ;;
  *) back "$1" ordered ;;
  esac
}

attend() { # waits for the next order and obeys it; false when the run is at its end
  now
  since=$now due='' stage=0
  set -- stop
  while [ "$stage" -lt "$stages" ]; do
    stage=$((stage + 1))
    "stage_$stage"
    ends=$((since + go * 100))
    if marked "$stage.undone" || marked "$stage.stuck"; then continue
    elif holds "$stage"; then set -- "$@" "undo.$stage"
    elif pending "$stage"; then
      set -- "$@" "undo.$stage" "keep.$stage"
      eval "ends=\$due_$stage"
    elif [ -n "$shut" ]; then continue
    else set -- "$@" "go.$stage"; fi
    if [ -z "$due" ] || [ "$ends" -lt "$due" ]; then due=$ends; fi
  done
  [ -n "$due" ] || return 1
  await "$due" "$@" finish || order=late
  case $order in
  go.*) go_on "${order#go.}" ;;
  keep.*) keep_proven "${order#keep.}" ;;
  undo.*) back "${order#undo.}" ordered; shut=$closing ;;
  late) overdue ;;
  *) return 1 ;;
  esac
}

keep_proven() { # STAGE: its checks are green; they may have asked another than the one that was started
  "stage_$1"
  if stays "$1" >"$run/out" 2>&1; then
    kept "$1" proven
    return
  fi
  say begin "$1" "$steps" 'see that it stays up'
  say failed "$1" "$steps" 1
  evidence
  back "$1" failed
  shut=$closing
}

go_on() { # STAGE: begins it
  "stage_$1"
  say stage "$1" "$service" "$steps" "${expect:--}" "${release:--}" # the journal is read without the plan, too
  carry "$1" || { shut=$closing; return 0; }
  now
  eval "due_$1=$((now + verdict * 100))"
}

overdue() { # judges the stages whose time is up; false when it was the whole run's
  now
  found=1 stage=0
  while [ "$stage" -lt "$stages" ]; do
    stage=$((stage + 1))
    pending "$stage" || continue
    eval "ends=\$due_$stage"
    [ "$ends" -le "$now" ] || continue
    conclude "$stage"
    found=0 shut=$closing
  done
  return $found
}
