# What the demo's scripts share.
step() { printf '\n== %s\n' "$*"; }
run() { # show a command as it would be typed, then run it
  local word line='$'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=-]*) line+=" '$word'" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '\n%s\n' "$line"
  "$@"
}
