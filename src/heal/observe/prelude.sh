# What the looks share; any program that hangs is ended from here on. An answer of one line that begins with `!` says why there is none.
tick USR2

lacks() { printf '!lacks %s\n' "$1"; }

asked() { # PROGRAM ARG...: as `bounded`, where what is said by a program that fails is no answer
  if answer=$(bounded "$@" 2>&1); then
    printf '%s\n' "$answer"
  else
    # One line, and that of the program, not ours.
    printf '!failed %s: %s\n' "$1" "$(printf '%s' "$answer" | tr '\n' ' ' | cut -c 1-200)"
  fi
}

pids=
shown() { # SCOPE UNIT...: what systemd says of units; their main processes are remembered for the looks behind
  scope=$1; shift
  [ "$init" = systemd ] || return
  all=$(bounded systemctl --"$scope" show -p Id,LoadState,LoadError,ActiveState,SubState,Result,ExecMainStatus \
    -p ExecMainCode,NRestarts,MainPID,UnitFileState,User,NeedDaemonReload,InvocationID,RestartUSec \
    -p MemoryCurrent,MemoryMax,TasksCurrent,TasksMax,LimitNOFILE,StartLimitBurst,FragmentPath -- "$@")
  say "heal/shown $scope" "$all"
  while IFS='=' read -r key value; do
    case $key in
      Id) unit=$value ;;
      MainPID) main=$value ;;
      '') pids="$pids $main=$unit" main=0 ;;
    esac
  done <<END
$all

END
}

supervised() { # SERVICE: its processes on a host without an init system
  for one in "$base/services/$1"/process/*/pid; do
    [ -r "$one" ] || continue
    main=
    read -r main rest <"$one"
    one=${one%/pid}
    pids="$pids ${main:-0}=process $1 ${one##*/}"
  done
}
