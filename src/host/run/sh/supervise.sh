# A small supervisor for one process, on a host that has no init system: sh supervise.sh FOLDER start|stop|restart|reload|status
# FOLDER/supervise holds the settings and, as its positional parameters, the words of the command.
folder=$1 verb=$2
umask 022

settings() {
  dir=/ env='' policy=always max=5 window=60 delay=1 signal=TERM timeout=10 log_max=10485760 user='' reload=HUP
  set --
  . "$folder/supervise"
  words=$#
}

keep_log() { # turns the log over when it has grown too large; the process goes on writing to the same file
  size=$(wc -c <"$folder/log") || return
  [ "$size" -gt "$log_max" ] || return
  cp "$folder/log" "$folder/log.1" && printf '' >"$folder/log" || return
  from=0 before=''
  if [ -e "$folder/log.start" ]; then read -r from before <"$folder/log.start"; fi
  # What the process said first lies in the other file now; at the second turn it is gone.
  if [ -n "$before" ]; then start_of_log "0 lost"; else start_of_log "0 $from"; fi
}

start_of_log() { # WORDS: where in the log that begins what the process of now says
  printf '%s\n' "$1" >"$folder/log.start.tmp" && mv -f "$folder/log.start.tmp" "$folder/log.start"
}

write() { # FILE PID
  born "$2"
  printf '%s %s %s\n' "$2" "$born" "$boot" >"$folder/$1.tmp" && mv -f "$folder/$1.tmp" "$folder/$1"
}

launch() { # the process itself, as its user, in its own folder and environment
  cd "$dir" || exit 126
  # The shell's `&` leaves SIGINT and SIGQUIT ignored; only a newer env(1) can take that back.
  plain=''
  ! env --default-signal=INT,QUIT true 2>/dev/null || plain='env --default-signal=INT,QUIT'
  within "$user" "${env:-/dev/null}" "$@"
}

loop() {
  write supervisor $$
  trap 'stop=yes' TERM
  stop='' count=0 since=0
  . "$folder/supervise"
  while :; do
    start_of_log $(wc -c <"$folder/log")
    (trap - TERM; launch "$@") </dev/null >>"$folder/log" 2>&1 &
    child=$!
    write pid $child
    rc=129
    # It is waited for before it is asked for: one that ended at once still has its exit code.
    while [ -z "$stop" ]; do
      (while sleep 60; do kill -0 $$ || exit; keep_log; done) >/dev/null 2>&1 &
      keeper=$!
      wait $child
      rc=$?
      kill $keeper 2>/dev/null
      kill -0 $child 2>/dev/null || break
    done
    if [ -n "$stop" ]; then
      kill -s "$signal" $child 2>/dev/null
      (sleep "$timeout" && kill -9 $child) >/dev/null 2>&1 &
      killer=$!
      while kill -0 $child 2>/dev/null; do wait $child; done
      kill $killer 2>/dev/null
      break
    fi
    case $policy.$rc in always.* | on-failure.[1-9]*) ;; *) break ;; esac
    moment=$(date +%s)
    [ $((moment - since)) -le "$window" ] || count=0 since=$moment
    count=$((count + 1))
    if [ "$max" -gt 0 ] && [ "$count" -gt "$max" ]; then
      printf 'portoser: ended %s times within %s s, the last time with %s; given up\n' "$count" "$window" "$rc" >>"$folder/log"
      break
    fi
    printf '%s\n' "$count" >"$folder/restarts"
    sleep "$delay" &
    wait $!
  done
  rm -f "$folder/pid" "$folder/supervisor"
}

start() {
  ! lives "$folder/supervisor" || return 0
  rm -f "$folder/pid" "$folder/supervisor" "$folder/restarts"
  # Without `-f` the shell's `&` leaves SIGINT ignored for the process. The log is the service's own.
  set -- sh "$folder/supervise.sh" "$folder" loop
  if setsid -f true 2>/dev/null; then setsid -f "$@" </dev/null >>"$folder/log" 2>&1
  elif command -v setsid >/dev/null; then setsid "$@" </dev/null >>"$folder/log" 2>&1 &
  else nohup "$@" </dev/null >>"$folder/log" 2>&1 & fi
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    ! lives "$folder/supervisor" || return 0
    sleep 0.1 2>/dev/null || sleep 1
  done
  printf 'the supervising loop did not start\n'
  return 1
}

stop() {
  lives "$folder/supervisor" || { end_child; return; }
  loop_pid=$pid
  kill "$loop_pid"
  waited=0
  while lives "$folder/supervisor" && [ $waited -lt $((timeout * 10 + 50)) ]; do
    sleep 0.1 2>/dev/null || { sleep 1; waited=$((waited + 9)); }
    waited=$((waited + 1))
  done
  ! lives "$folder/supervisor" || { kill -9 "$pid"; end_child; }
}

end_child() { # the loop was killed and left its process behind
  if lives "$folder/pid"; then
    kill -9 "$pid" 2>/dev/null
    while lives "$folder/pid"; do sleep 0.1 2>/dev/null || sleep 1; done
  fi
  rm -f "$folder/pid" "$folder/supervisor"
}

settings
case $verb in
loop) loop ;;
start) start ;;
stop) stop ;;
restart) stop && start ;;
reload) if lives "$folder/pid"; then kill -s "$reload" "$pid"; else exit 3; fi ;;
status) lives "$folder/supervisor" && lives "$folder/pid" || exit 3 ;;
esac
