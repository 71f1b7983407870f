for folder; do
  printf '@%s\n' "$folder"
  pid=
  { read -r pid rest <"$folder/pid"; } 2>/dev/null
  case $pid in
  '' | *[!0-9]*) ;;
  *) ps -p "$pid" -o pid= ;;
  esac
  echo
done
