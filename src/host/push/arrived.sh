# What an attempt brought of an image, before it goes on or ends: IN is its folder, FOLDER the image's. A whole file is followed by an
# empty one of its name with `.ok`, and goes to FOLDER. The one that was cut off is kept there as NAME.part. NAME.@N goes on behind
# the first N bytes of that. What is joined has a name of this process's own, as two may be at it at once.
arrived() { # IN FOLDER
  for one in "$1"/[0-9]*; do
    case $one in *.ok) continue ;; esac
    [ -f "$one" ] || continue
    name=${one##*/} at=0
    case $name in *.@*) at=${name##*.@} name=${name%.@*} ;; esac
    if [ -e "$one.ok" ] && [ "$at" = 0 ]; then mv -f -- "$one" "$2/$name"
    elif [ -e "$2/$name" ]; then continue
    elif new=$2/$name.new-$$ && joined "$2" >"$new" && [ -e "$one.ok" ]; then mv -f -- "$new" "$2/$name" && rm -f -- "$one"
    elif longer "$2"; then mv -f -- "$new" "$2/$name.part"
    else rm -f -- "$new"; fi
    [ ! -e "$2/$name" ] || rm -f -- "$2/$name.part"
  done
}

tidied() { # FOLDER: without what somebody was joining when the link was cut
  for one in "$1"/*.new-*; do kill -0 "${one##*-}" 2>/dev/null || rm -f -- "$one"; done
}

joined() { # FOLDER
  [ "$at" = 0 ] || head -c "$at" "$1/$name.part" || return
  cat "$one"
}

longer() { # FOLDER: whether there is more of it than was there before, as an attempt that hangs may be asked again and again
  [ ! -e "$1/$name.part" ] || [ $(($(wc -c <"$new"))) -gt $(($(wc -c <"$1/$name.part"))) ]
}
