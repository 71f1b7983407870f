# The first thing that runs on the host: takes the payload in, starts the runner on its own, and follows it.
umask 077
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
base=$1 id=$2 size=$3 pack=$4 mark=$5 runs=$1/runs
new=$runs/.new-$id-$$ newline='
' # tar says the same of each file; its first line tells enough

refuse() {
  rm -rf "$new"
  tell "refused $(printf '%s' "$1" | tr '\n\r' '  ' | cut -c 1-300)"
  exit 1
}

receive() {
  case $pack in
  gzip) head -c "$size" | { gzip -dc || printf '' >"$new/cut"; } ;;
  zstd) head -c "$size" | { zstd -dcq || printf '' >"$new/cut"; } ;;
  *) head -c "$size" ;;
  esac | tar xmpf - -C "$new"
}

detach() { # WORDS... The runner must outlive the session, whatever kills sessions here.
  if [ "$uid" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --collect --no-block --unit="portoser-run-$id$try" -p KillMode=process -p SendSIGHUP=no \
      --setenv=HOME="${HOME:-/root}" --setenv=PATH="$PATH" "$@" 2>"$runs/$id/log" </dev/null >/dev/null; then
    return
  fi
  # Without `-f` the shell's `&` leaves SIGINT ignored for all that the runner starts.
  setsid -f "$@" </dev/null >"$runs/$id/log" 2>&1 4<&- && return
  if command -v setsid >/dev/null; then
    setsid "$@" </dev/null >"$runs/$id/log" 2>&1 4<&- &
  else
    nohup "$@" </dev/null >"$runs/$id/log" 2>&1 4<&- &
  fi
}

again() { # goes on with the run if this very sending was taken in before: who lost the link meanwhile sends it once more
  { read -r sent <"$runs/$id/sent"; } 2>/dev/null && [ "$sent" = "$mark" ] || return 0
  rm -rf "$new"
  [ "$#" = 0 ] || head -c "$1" >/dev/null
  tell received
  follow "$runs/$id" 0
  exit
}

exec 4<&0
again "$size"
[ -d "$base" ] || why=$(umask 022 && mkdir -p "$base" 2>&1) || refuse "$why"
why=$(mkdir -p "$new" 2>&1) || refuse "$why"
why=$(receive 2>&1) || refuse "the payload could not be unpacked: ${why%%"$newline"*}"
[ -e "$new/whole" ] && [ ! -e "$new/cut" ] || refuse "the payload did not arrive whole: ${why%%"$newline"*}"
try=
again
if [ -e "$runs/$id" ]; then
  [ -e "$runs/$id/end" ] || refuse 'this run is here already, and has not ended'
  number=1
  while [ -e "$runs/$id.$number" ]; do number=$((number + 1)); done
  mv "$runs/$id" "$runs/$id.$number"
  # The unit of the try before may still be there.
  try=.$number
fi
born $$
printf '%s %s %s starting\n' $$ "$born" "$boot" >"$new/runner"
printf '%s\n' "${SSH_CONNECTION%% *}" >"$new/from"
printf '%s\n' "$mark" >"$new/sent"
printf '' >"$new/journal"
why=$(mkfifo "$new/wake" 2>&1)
why=$(mv "$new" "$runs/$id" 2>&1) || refuse "$why"
# The same was sent twice, and both arrived at once: ours lies in the other's folder.
[ ! -e "$runs/$id/${new##*/}" ] || { new=$runs/$id/${new##*/} && again; refuse 'this run is here already, and has not ended'; }
uid=$(id -u)
detach sh "$runs/$id/run.sh" "$base" "$id" run "$uid"
tell received # only now: where nobody hears it, it is the last that we do
follow "$runs/$id" 0
