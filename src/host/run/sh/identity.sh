# Which process is which: its number, its start time and the boot, so that a number used again is never taken for the
# process that had it. /proc/PID/stat is read as proc(5) has it; elsewhere (macOS) `ps` and `sysctl` are asked.
boot=
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=$(sysctl -n kern.boottime 2>/dev/null | tr -cd 0-9)
boot=${boot:-unknown}

born() { # PID: sets $born to its start time; to nothing when there is no such process, or only its zombie
  born= stat=
  if [ -r /proc/self/stat ]; then
    # A process may have a newline in its name.
    { while read -r piece; do stat="$stat $piece"; done <"/proc/$1/stat"; } 2>/dev/null
    stat=${stat##*) }
    case $stat in '' | Z* | X*) return ;; esac
    set -- $stat
    born=${20}
  else
    born=$(ps -o lstart= -p "$1" 2>/dev/null | tr -cs '0-9A-Za-z' _)
  fi
}

alive() { # PID BORN BOOT
  [ "${3:-none}" = "$boot" ] && born "$1" && [ -n "$born" ] && [ "$born" = "$2" ]
}

lives() { # FILE: whether the process that its first line names is alive
  { read -r pid start up rest <"$1"; } 2>/dev/null && alive "$pid" "$start" "$up"
}
