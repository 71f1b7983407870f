# For the look: who holds the host's lock, which runs live, and which stopped in the middle. Starts no process and changes nothing.
peek() { # BASE
  lease='' holder='' busy='' live='' unfinished=''
  for one in "$1"/lock/????????????; do [ -e "$one" ] && lease=$one; done
  if [ -n "$lease" ] && [ ! -e "$lease.out" ] && lives "$lease"; then
    { read -r holder && read -r holder; } <"$lease"
    # A run that holds the lock and has begun may still go back: what is seen now is not what will be.
    for one in "$1/runs/${holder%% *}/stage"/*.begun; do [ ! -e "$one" ] || busy=yes; done
  fi
  for one in "$1"/runs/*; do
    if [ ! -d "$one" ] || [ -e "$one/end" ]; then continue; fi
    if lives "$one/runner"; then live="$live ${one##*/}"; else unfinished="$unfinished ${one##*/}"; fi
  done
  say holder "$holder"
  say busy "$busy"
  say live "$live"
  say unfinished "$unfinished"
}
