# The host's lock: a lease that names its holder, in numbered generations. A generation is taken by a hard link, which only one
# can make; it is free again when the holder says so (`.out`) or is dead. The newest is never removed, so that nobody who
# comes late takes an old one for the newest. Those who wait stand in a queue of tickets, sorted by time.

lock() { # WAIT TICKET: 0 when the lock is ours, 1 when the time is up, 2 when told to stop, 3 when the disk refuses
  now
  until=$((now + $1 * 100)) told=''
  [ -d "$tickets" ] && [ -d "$leases" ] || mkdir -p "$tickets" "$leases" || return 3
  ticket=$(printf '%014d' "${2:-$now}")
  printf '%s %s %s\n' $$ "$mine" "$boot" >"$run/ticket" && mv -f "$run/ticket" "$tickets/$ticket-$id" || return 3
  # The lease lies ready, complete, before its name is taken.
  printf '%s %s %s\n%s %s %s\n' $$ "$mine" "$boot" "$id" "$((now / 100))" "$who" >"$run/lease" || return 3
  say queued "$ticket"
  got=1
  while :; do
    ! ordered stop && heard || { got=2; break; }
    if next_in_queue && take; then got=0; break; fi
    if [ "$told" != "$holder" ]; then
      told=$holder
      say waiting "$holder"
    fi
    now
    [ "$now" -lt "$until" ] || break
    nap 0.1
  done
  rm -f "$tickets/$ticket-$id"
  return $got
}

next_in_queue() {
  for place in "$tickets"/*; do
    [ "$place" != "$tickets/$ticket-$id" ] || return 0
    if lives "$place"; then
      place=${place##*/}
      holder="${place#*-} $(((1${place%%-*} - 100000000000000) / 100)) next in the queue"
      return 1
    fi
    rm -f "$place"
  done
  return 0
}

newest() { # sets $lease
  lease=
  for one in "$leases"/????????????; do [ -e "$one" ] && lease=$one; done
}

held() { # whether the newest lease is held; sets $holder to what it says
  newest
  [ -n "$lease" ] && [ ! -e "$lease.out" ] && lives "$lease" && { read -r holder && read -r holder; } <"$lease"
}

take() {
  ! held || return 1
  newer=${lease##*/}
  newer=$((1${newer:-000000000000} - 1000000000000 + 1))
  mine_lease=$leases/$(printf '%012d' "$newer")
  ln "$run/lease" "$mine_lease" 2>/dev/null || return 1
  newest
  if [ "$lease" = "$mine_lease" ]; then
    lease_number=$newer
    return 0
  fi
  rm -f "$mine_lease"
  return 1
}

release() {
  printf '' >"$mine_lease.out"
  # Old generations go, but not the last fifty: a reader of the folder may miss what changes while it reads.
  for one in "$leases"/????????????; do
    [ $((1${one##*/} - 1000000000000)) -lt $((lease_number - 50)) ] || break
    rm -f "$one" "$one.out"
  done
}
