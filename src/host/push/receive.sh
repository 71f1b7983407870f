# Takes what the host lacks of an image: BASE FOLDER ATTEMPT; the archive comes on the standard input.
umask 077
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
base=$1 folder=$2 in=$2/in-$3
fail() { # WHY: what arrived stays for the next attempt
  arrived "$in" "$folder" 2>/dev/null
  rm -rf "$in"
  rmdir "$folder" 2>/dev/null
  printf '%s\n' "$1" | head -n 3 >&2
  exit 1
}
# Nothing is sent before, as it would only wait, and be lost in a cut.
printf 'ready\n'
[ -d "$base" ] || why=$(umask 022 && mkdir -p "$base" 2>&1) || fail "$why"
why=$(mkdir -p "$in" 2>&1) && why=$(tar xmf - -C "$in" 2>&1) || fail "$why"
[ -e "$in/whole" ] || fail 'the image did not arrive whole'
arrived "$in" "$folder" && rm -f "$in"/*.ok
for one in "$in"/*; do
  [ "${one##*/}" = whole ] || mv -f -- "$one" "$folder/" || exit
done
while read -r how part; do
  [ -e "$folder/$part" ] || { printf 'a piece of the image is missing: %s\n' "$part" >&2; exit 1; }
done <"$folder/parts"
mv -f "$in/whole" "$folder/" && rm -rf "$in"
