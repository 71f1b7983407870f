# Removes the virtual environments that no release names any more: SERVICE-FOLDER
cd "$1" || exit
for venv in venvs/*; do
  [ -d "$venv" ] || continue
  for release in releases/*/.portoser/venv; do
    name=
    { read -r name <"$release"; } 2>/dev/null
    [ "$name" != "id=${venv#venvs/}" ] || continue 2
  done
  rm -rf "$venv"
done
rmdir wheels 2>/dev/null
:
