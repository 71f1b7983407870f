# Words as a service's user and in its environment. That may lead to where this user writes (PATH, LD_PRELOAD), and may name any
# variable: so root opens the file, drops what it is, and only who is left reads it. What cannot be dropped is refused.
within() { # USER FILE WORDS...
  user=$1 file=$2
  shift 2
  uid=$(id -u) && [ -n "$uid" ] || { echo 'portoser: nothing says who runs this (id -u)' >&2; exit 125; }
  # `C` is ours, for the answers that we read; the words have the host's.
  [ "${LC_ALL-}" != C ] || unset LC_ALL
  set -- 'text=$(cat <&3) && exec 3<&- || exit 125; eval "unset text
$text"; exec "$@"' sh "$@"
  if [ -z "$user" ] || [ "$uid" != 0 ] || [ "$user" = root ]; then exec $plain sh -c "$@" 3<"$file"; fi
  if command -v setpriv >/dev/null && gid=$(id -g "$user" 2>/dev/null) && entry=$(getent passwd "$user" 2>/dev/null) &&
    setpriv --reuid="$user" --regid="$gid" --init-groups true 2>/dev/null; then
    SHELL=${entry##*:} HOME=${entry%:*}
    HOME=${HOME##*:} USER=$user LOGNAME=$user
    HOME=${HOME:-/} SHELL=${SHELL:-/bin/sh}
    export HOME SHELL USER LOGNAME
    exec $plain setpriv --reuid="$user" --regid="$gid" --init-groups -- sh -c "$@" 3<"$file"
  fi
  inside=$1
  shift 2
  exec $plain su -s /bin/sh "$user" -c "$inside" -- sh "$@" 3<"$file"
}
