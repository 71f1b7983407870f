# What containers keep, and where. What is written to a release's own folder goes when the release is pruned, and the next release
# does not have it: so nothing may write there.
do_check_project() { # FOLDER: that compose takes the files, and that no part writes to the release
  # With the values of variables in it; so it goes at once.
  compose "$1" config >"$run/config"
  rc=$?
  awk "$written" "$run/config" >"$run/a"
  [ $rc = 0 ] || grep '^it took longer than' "$run/config"
  rm -f "$run/config"
  [ $rc = 0 ] || return
  releases=$(cd -P "${1%/*}" && pwd) || return
  while read -r part source; do
    ! inside "$source" "$releases" || [ -f "$source" ] || {
      printf '%s mounts %s writable, which goes with its release\n' "$part" "$source"
      return 1
    }
  done <"$run/a"
}

undo_check_project() { :; }

do_check_volumes() { # IMAGE [PATH]...: that where the image keeps data is mounted; else each container has a volume without a name
  bounded 60 docker image inspect --format '{{range $path, $none := .Config.Volumes}}{{println $path}}{{end}}' -- "$1" >"$run/a" ||
    { cat "$run/a"; return 1; }
  shift
  while IFS= read -r path; do
    [ -n "$path" ] || continue
    for mounted; do [ "${path%/}" != "${mounted%/}" ] || continue 2; done
    printf 'the image keeps data in %s, and nothing is mounted there\n' "$path"
    return 1
  done <"$run/a"
}

undo_check_volumes() { :; }

left_behind() { # PROJECT: what its containers keep, and outlives them, in $run/left: a line each, `KIND NAME`
  printf '' >"$run/left" || return
  containers "$1" || return
  own_networks "$1" >"$run/a" || { cat "$run/a"; return 1; }
  [ ! -s "$run/ids" ] || bounded 60 docker inspect --format '{{range .Mounts}}{{if .Name}}{{println "volume" .Name}}{{else if and .RW (eq .Type "bind")}}{{println "path" .Source}}{{end}}{{end}}{{range $name, $none := .NetworkSettings.Networks}}{{println "network" $name}}{{end}}' $(cat "$run/ids") >"$run/left" ||
    { cat "$run/left"; return 1; }
  while read -r one; do printf 'network %s\n' "$one" >>"$run/left"; done <"$run/a"
  bounded 60 docker volume ls --format 'volume {{.Name}}' --filter "label=com.docker.compose.project=$1" >>"$run/left"
}

tell_left() { # FOLDER PROJECT: says what is left, as nobody else may take it away; FOLDER is the service's own, of which others tell
  sort -u "$run/left" >"$run/a" || return
  while read -r kind name; do
    case $kind:$name in
    volume:*) bounded 60 docker volume inspect --format . -- "$name" >/dev/null 2>&1 || continue
      say note "the volume $name stays, with its data; \`docker volume rm $name\` on the host deletes it" ;;
    network:bridge | network:host | network:none) ;;
    network:*) owner=$(bounded 60 docker network inspect --format '{{index .Labels "com.docker.compose.project"}}' -- "$name" 2>/dev/null) || continue
      if [ "$owner" != "$2" ]; then say note "the network $name stays, as it is not of this project alone"
      else say note "the network $name stays; \`docker network rm $name\` on the host deletes it, once nothing else is on it"; fi ;;
    path:"$1"/*) ;;
    path:*) say note "the path $name stays, as it is the host's own" ;;
    esac
  done <"$run/a"
}

inside() { # PATH FOLDER: whether it lies there in truth, or will, once it is made
  case $1 in /*) ;; *) return 0 ;; esac # what one compose takes for a path below the release, and the other not at all
  at=$1
  while [ ! -d "$at" ]; do at=${at%/*}; [ -n "$at" ] || at=/; done
  at=$(cd -P "$at" && pwd) || return 0
  case $at/ in "$2"/*) ;; *) return 1 ;; esac
}

# Of the project as compose reads it: each part that mounts a path of the host writable, and the path. The older compose writes
# `SOURCE:TARGET:MODES`, and both write keys; a long text may go on in the next line. A volume may stand for a path, too.
written='
function plain(text) {
  sub(/^ +/, "", text); sub(/ +$/, "", text)
  if (text ~ /^\047.*\047$/) { text = substr(text, 2, length(text) - 2); gsub(/\047\047/, "\047", text) }
  else if (text ~ /^".*"$/) { text = substr(text, 2, length(text) - 2); gsub(/\\"/, "\"", text); gsub(/\\\\/, "\\", text) }
  return text
}
function ends() {
  if (short != "") {
    short = plain(short)
    if (match(short, /:[^:]*:[^:\/]*$/)) { mode = short; sub(/.*:/, "", mode); only = ("," mode ",") ~ /,ro,/; source = substr(short, 1, RSTART - 1) }
    else { only = 0; source = short; sub(/:[^:]*$/, "", source) }
    kind = source ~ /^[\/.~]/ ? "bind" : "volume"
  }
  if (kind == "bind" && !only) print part, plain(source)
  short = kind = source = key = ""; only = 0
}
/^[^ #]/ { ends(); top = $1; listed = 0; next }
top == "services:" && /^  [^ ]/ { ends(); part = $0; sub(/:[ ]*$/, "", part); part = plain(part); listed = 0; next }
top == "services:" && /^    [^ -]/ { ends(); listed = $1 == "volumes:"; next }
top == "volumes:" && /^  [^ ]/ { part = $1; sub(/:$/, "", part); next }
top == "volumes:" && /^      device: +[\/."\047]/ { sub(/^ *device: /, ""); print part, plain($0); next }
!listed { next }
/^    (  )?- / { ends(); sub(/^ *- (&[a-z0-9]+ *)?/, "")
  if ($0 !~ /^([a-z_]+:( |$)|$)/) { short = $0; next }
  $0 = "        " $0 }
short != "" { sub(/^ +/, ""); short = short " " $0; next }
/^      (  )?type: / { kind = $2; key = ""; next }
/^      (  )?source: / { source = $0; sub(/^ *source: /, "", source); key = "source"; next }
/^      (  )?read_only: / { only = $2 == "true"; key = ""; next }
/^      (  )?[a-z_]+:( |$)/ { key = ""; next }
key == "source" { sub(/^ +/, ""); source = source " " $0 }
END { ends() }'
