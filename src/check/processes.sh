for folder; do
  printf '@%s\n' "$folder"
  if sh "$folder/supervise.sh" "$folder" status 2>/dev/null; then
    { read -r process <"$folder/pid"; } 2>/dev/null && echo "lives $process"
  elif [ -e "$folder/supervisor" ]; then echo waits
  else echo ended; fi
done
