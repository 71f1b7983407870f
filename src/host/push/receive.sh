# Takes what the host lacks of an image: BASE FOLDER ATTEMPT; the archive comes on the standard input. A file that arrived whole
# is followed by an empty one of its name with `.ok`, so that a cut costs one piece at most.
umask 077
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
base=$1 folder=$2 in=$2/in-$3
[ -d "$base" ] || (umask 022 && mkdir -p "$base") || exit
mkdir -p "$in" && tar xmf - -C "$in" || exit
[ -e "$in/whole" ] || { echo 'the image did not arrive whole' >&2; exit 1; }
rm -f "$in"/*.ok
for one in "$in"/*; do
  [ "${one##*/}" = whole ] || mv -f -- "$one" "$folder/" || exit
done
while read -r how part; do
  [ -e "$folder/$part" ] || { printf 'a piece of the image is missing: %s\n' "$part" >&2; exit 1; }
done <"$folder/parts"
mv -f "$in/whole" "$folder/" && rm -rf "$in"
