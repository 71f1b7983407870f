# For those who ask later: what the host itself remembers of its runs and of what was proven. Few processes, and no change.
records() { # BASE
  cd "$1" || return
  for one in services/*/proven; do
    [ -r "$one" ] || continue
    all=
    while IFS= read -r line; do
      all="$all$line
"
    done <"$one"
    one=${one%/proven}
    say "proven ${one##*/}" "$all"
  done
  cd runs || return
  all=
  for one in *; do
    [ -e "$one/journal" ] || continue
    state=stopped
    if [ -e "$one/end" ]; then
      read -r state ended <"$one/end"
    elif lives "$one/runner"; then state=lives; fi
    all="$all$one $state
"
  done
  say runs "$all"
  say asked "$(grep -H '^{' -- */asked 2>/dev/null | head -c 2000000)"
  words='run|locked|stage|switched|kept|undoing|undone|stuck|failed|undo-failed|end'
  say journals "$(grep -HE "^[0-9]+ [0-9.]+ ($words) " -- */journal | head -c 8000000)"
}

releases() { # BASE: what each release is; no process
  cd "$1/services" || return
  for one in */releases/*/.portoser/release.json; do
    record=
    IFS= read -r record <"$one"
    one=${one%/.portoser/release.json}
    say "release ${one%%/*}" "$record"
  done
}
