# For those who come to a host that has a past: its units, who listens on its ports, its containers. Changes nothing.
listeners() { # the TCP ports that are listened on, and the processes that hold sockets
  if [ ! -r /proc/net/tcp ] && [ "$init" = launchd ]; then
    # Without the right to look, `lsof` tells of no others' processes; `netstat` tells of all ports.
    say discover/netstat "$(netstat -anp tcp </dev/null | grep LISTEN)"
    say discover/lsof "$(lsof -nP -iTCP -sTCP:LISTEN -F pcn </dev/null)"
    return
  fi
  [ -r /proc/net/tcp ] && say discover/listening "$(grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6)"
  say discover/sockets "$(ls -l /proc/[0-9]*/fd | grep -e '^/proc/' -e '-> socket:')"
  say discover/processes "$(grep -H . /proc/[0-9]*/comm /proc/[0-9]*/cgroup)"
}

discover() {
  if [ "$init" = systemd ]; then
    say discover/units "$(systemctl show -p Id,FragmentPath,ActiveState,UnitFileState '*.service')"
    # What lies in the folders of the administrator and is not loaded; links there are aliases and masks.
    all=
    for one in /etc/systemd/system/*.service /usr/local/lib/systemd/system/*.service; do
      [ ! -f "$one" ] || [ -L "$one" ] || all="$all$one
"
    done
    say discover/files "$all"
    command -v dpkg-query >/dev/null && say discover/packaged "$(dpkg-query -S '*/systemd/system/*.service')"
  fi
  listeners
  if command -v docker >/dev/null; then
    # A label may hold any text, so each part is told as JSON. Podman tells no ports in its list.
    all='{{json .Name}},{{json .Config.Image}},{{json .State.Status}},{{json .NetworkSettings.Ports}}'
    for one in com.docker.compose.project com.docker.compose.service com.docker.compose.project.config_files \
      com.docker.compose.project.working_dir portoser.service; do
      all="$all,{{json (index .Config.Labels \"$one\")}}"
    done
    ids=$(docker ps -aq --no-trunc </dev/null) && {
      # One may go between the two questions. The ids are words of ours: hexadecimal digits.
      [ -z "$ids" ] || ids=$(docker inspect --type container --format "[$all]" $ids </dev/null) || :
      say discover/containers "$ids"
    }
  fi
}
