# Steps on files. Each notes what its undo needs before it changes anything. A note is an empty file whose name says it all
# ($u.absent, $u.link, ...): names reach the disk in the order in which they are made, also when the host crashes.
# Each undo may be cut off and run again, any number of times.
note() { printf '' >"$u.$1"; }

noted() { [ -e "$u.$1" ]; }

flush() { sync -- "$@" 2>/dev/null || sync; } # old and foreign versions of sync(1) take no names, and flush all

own() { # OWNER PATH
  [ -z "$1" ] || [ "$uid" != 0 ] || chown -h -- "$1" "$2"
}

swap() { # FROM TO: a rename onto whatever lies there, never into it
  if [ -z "$rename" ]; then
    ! mv -fT -- "$1" "$2" 2>/dev/null || { rename=T; return 0; }
    printf '' >"$run/a" && printf '' >"$run/b"
    if mv -fT "$run/a" "$run/b" 2>/dev/null; then rename=T
    elif mv -fh "$run/a" "$run/b" 2>/dev/null; then rename=h
    else rename=plain; fi
  fi
  case $rename in
  plain)
    ! [ -L "$2" ] || rm -f -- "$2"
    mv -f -- "$1" "$2" ;;
  *) mv -f$rename -- "$1" "$2" ;;
  esac
}

keep() { # PATH: keeps what lies there for the undo
  if [ -L "$1" ]; then
    target "$1" && ln -s -- "$text" "$u.old" && note link
  elif [ -f "$1" ]; then
    if ln -- "$1" "$u.old" 2>/dev/null; then note file
    else cp -p -- "$1" "$u.old" && note copy && flush "$u.old"; fi
  elif [ -e "$1" ]; then
    printf '%s\n' "$1 is neither a file nor a link"
    return 1
  else
    note absent
  fi
}

target() { # LINK: sets $text to what it points to, with every newline of it
  text=$(readlink -- "$1" && printf x) && text=${text%??}
}

clear_tmp() { # PATH: what a try that was cut off left beside it
  if [ -e "$1.tmp-$id" ] || [ -L "$1.tmp-$id" ]; then rm -f -- "$1.tmp-$id"; fi
}

restore() { # PATH
  clear_tmp "$1" || return
  if noted absent; then
    rm -f -- "$1"
  elif noted link; then
    target "$u.old" && ln -s -- "$text" "$1.tmp-$id" && swap "$1.tmp-$id" "$1"
  elif noted file; then
    if [ ! -L "$1" ] && [ "$1" -ef "$u.old" ]; then return 0; fi
    ln -- "$u.old" "$1.tmp-$id" && swap "$1.tmp-$id" "$1"
  elif noted copy; then
    cp -p -- "$u.old" "$1.tmp-$id" && flush "$1.tmp-$id" && swap "$1.tmp-$id" "$1"
  fi
}

do_folder() { # PATH MODE OWNER
  part=$1 missing=
  while [ ! -d "$part" ]; do
    missing="$missing x"
    part=${part%/*}
    [ -n "$part" ] || break
  done
  [ -n "$missing" ] || return 0
  set -- "$1" "$2" "$3" $missing
  note "missing.$(($# - 3))" || return
  umask 022
  mkdir -p -m "$2" -- "$1"
  made=$?
  umask 077
  [ $made = 0 ] && own "$3" "$1"
}

undo_folder() {
  for levels in "$u".missing.*; do levels=${levels##*.}; done
  [ "$levels" != '*' ] || return 0
  part=$1
  while [ "$levels" -gt 0 ]; do
    # What is not empty holds something that is not ours.
    rmdir -- "$part" 2>/dev/null
    part=${part%/*} levels=$((levels - 1))
  done
}

do_unpack() { # RELEASE OWNER INTO [FROM]
  [ ! -d "$3" ] || return 0
  note made && mv -- "$run/trees/$1" "$3.tmp-$id" || return
  [ -z "$4" ] || complete "$3.tmp-$id" "$4" || return
  if [ -n "$2" ] && [ "$uid" = 0 ]; then chown -hR -- "$2" "$3.tmp-$id" || return; fi
  # A folder's name must not reach the disk before the bytes of its files.
  { sync -f -- "$3.tmp-$id" 2>/dev/null || sync; } && mv -- "$3.tmp-$id" "$3"
}

complete() { # TREE FROM: brings what the manifest names and was not sent; that it is the same is proven afterwards
  sed -n 's,^[0-9a-f]*  \([^/].*\),\1,p' "$1/.portoser/manifest" >"$run/a" || return
  while IFS= read -r path; do
    [ -e "$1/$path" ] || [ -L "$1/$path" ] || printf './%s\n' "$path"
  done <"$run/a" >"$run/b"
  # One tar each way, as a process for each file would take long.
  [ ! -s "$run/b" ] || (cd "$2" && tar cf - -T "$run/b") | (cd "$1" && tar xpf -)
}

undo_unpack() {
  noted made || return 0
  if [ -d "$3" ]; then mv -- "$3" "$3.tmp-$id" || return; fi
  # What a full disk has no room to keep elsewhere stays where it is; nothing leads there any more.
  drop "$3.tmp-$id" || :
  rm -f -- "$u.made" # what lies there from now on is what a step before took away
}

do_put() { # NUMBER OWNER PATH; the mode is that of the payload's file
  keep "$3" && own "$2" "$run/payload/$1" && mv -f -- "$run/payload/$1" "$3.tmp-$id" &&
    flush "$3.tmp-$id" && swap "$3.tmp-$id" "$3"
}

undo_put() { restore "$3"; }

do_link() { # TARGET PATH
  keep "$2" && clear_tmp "$2" && ln -s -- "$1" "$2.tmp-$id" && swap "$2.tmp-$id" "$2"
}

undo_link() { restore "$2"; }

do_remove() { # PATH
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    note folder && mv -- "$1" "$1.gone-$id"
  else
    keep "$1" && rm -f -- "$1"
  fi
}

undo_remove() {
  if noted folder; then
    [ ! -e "$1.gone-$id" ] || { [ ! -e "$1" ] && mv -- "$1.gone-$id" "$1"; }
  else
    restore "$1"
  fi
}

purge_remove() { # PATH: the run was kept: what it took away may go
  case $1 in
  */releases) for gone in "$1.gone-$id"/*; do drop "$gone" || return; done ;;
  */releases/????????????????) drop "$1.gone-$id" || return ;;
  esac
  rm -rf -- "$1.gone-$id"
}

# What runs in a release may leave files there. They are the user's, and stay when the release goes.
drop() { # RELEASE, under its own name or another that begins with it: what nobody sent is moved beside the releases
  gone_name=${1##*/} gone_to=${1%/*}
  gone_name=${gone_name%%.*}
  case ${gone_to##*/}.$gone_name in
  releases.???????????????? | releases.gone-*.????????????????) ;;
  *) rm -rf -- "$1"; return ;; # wheels, where nothing runs
  esac
  strip "$1" || return
  [ -d "$1" ] || return 0
  gone_to=${gone_to%/*}/left gone_again=
  (umask 022 && mkdir -p -- "$gone_to") || return
  gone_to=$gone_to/$gone_name
  while [ -e "$gone_to$gone_again" ] || [ -L "$gone_to$gone_again" ]; do
    gone_again=.$((${gone_again#.} + 1))
  done
  mv -- "$1" "$gone_to$gone_again" &&
    say note "$service wrote files into its release, which goes; they are kept in $gone_to$gone_again"
}

strip() { # RELEASE: removes what was sent and what programs make again, and the folder itself where nothing else lies in it
  [ -d "$1" ] || return 0
  # Links first: no name of the manifest may lead through one. A link or a socket holds nothing itself.
  find "$1" -type d '(' -name __pycache__ -o -name node_modules ')' -prune -exec rm -rf -- {} + \
    -o ! -type d '(' ! -type f -o -name '*.pyc' ')' -exec rm -f -- {} + || return
  named "$1" | tr '\n' '\000' | (cd -- "$1" && xargs -0 rm -f --) || return
  rm -rf -- "$1/.portoser"
  find "$1" -depth -type d -exec rmdir -- {} + 2>/dev/null
  :
}

named() { # RELEASE: the files that its manifest names
  [ ! -e "$1/.portoser/manifest" ] || sed -n 's,^[0-9a-f]*  \([^/].*\),./\1,p' "$1/.portoser/manifest"
}

do_unnamed() { # RELEASE: tells of the files in it that nobody sent
  [ -e "$1/.portoser/manifest" ] || return 0
  bounded 60 sh -c 'cd -- "$1" && exec find . -type d "(" -name __pycache__ -o -name node_modules -o -name .portoser ")" \
    -prune -o -type f ! -name "*.pyc" -print' sh "$1" >"$run/a" || return
  LC_ALL=C sort "$run/a" >"$run/b" && named "$1" | LC_ALL=C sort | LC_ALL=C comm -13 - "$run/b" >"$run/a" || return
  [ -s "$run/a" ] || return 0
  some=$(head -n 3 "$run/a" | cut -c 3-80 | tr '\n' ' ' | LC_ALL=C tr -c ' -~' '?')
  say note "$service wrote files into its release ${1##*/}, which is not in force any more: $some($(($(wc -l <"$run/a"))) in" \
    "all); what is to outlive a release belongs into its shared folder"
}

do_prune() { # FOLDER SECONDS KEEP...
  folder=$1 seconds=$2
  shift 2
  for old in "$folder"/*.gone-* "$folder"/*.tmp-*; do drop "$old"; done
  inside=$(cd -P "$folder/../current" 2>/dev/null && pwd)
  for old in "$folder"/????????????????; do
    name=${old##*/}
    case " $* ${inside##*/} " in *" $name "*) continue ;; esac
    [ -d "$old" ] && older "$old" "$seconds" || continue
    mv -- "$old" "$old.gone-$id" && drop "$old.gone-$id" || return
  done
}

older() { # PATH SECONDS
  [ "$2" -gt 0 ] || return 0
  [ -n "$(find "$1" -prune -mmin +"$(($2 / 60))" 2>/dev/null)" ]
}
