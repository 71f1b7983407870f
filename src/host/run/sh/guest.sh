# Guests: runs that work within the lock of another one, which waits for its verdict meanwhile. That one neither takes anything
# back nor gives the lock away while a guest of it is at work, so that there is one writer at any time.
enter() { # RUN: becomes its guest; fails when it does not hold the lock, or is about to end
  printf '%s\n' "$1" >"$run/guest_of" || return 1
  # It looks for guests after it has shut the door, and we look at the door after we were seen: one of us notices.
  held && [ "${holder%% *}" = "$1" ] && [ ! -e "$base/runs/$1/shut" ]
}

dismiss() { # lets no guest in any more; ends those that are in, waits for them, and settles them where they died
  printf '' >"$run/shut"
  for guest in "$base"/runs/*/guest_of; do
    owner=
    { read -r owner <"$guest"; } 2>/dev/null
    guest=${guest%/guest_of}
    [ "$owner" = "$id" ] && [ ! -e "$guest/end" ] || continue
    say note "its guest ${guest##*/} is ended first"
    printf '' >"$guest/orders/stop"
    poke "$guest/wake"
    # All that a guest does has a deadline of its own.
    while [ ! -e "$guest/end" ] && lives "$guest/runner"; do nap 0.2; done
    for try in 1 2 3; do
      [ -e "$guest/end" ] || sh "$guest/run.sh" "$base" "${guest##*/}" settle </dev/null >>"$run/log" 2>&1
    done
  done
}
