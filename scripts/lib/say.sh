# How the scripts speak: a line a step on stderr, the time it took, and plain failures.

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf '==> FAILED: %s\n' "$1" >&2
  shift
  if [ $# -gt 0 ]; then printf '    %s\n' "$@" >&2; fi
  exit 1
}

# step TITLE COMMAND…: says both, runs the command, says how long it took or that it failed.
step() {
  local title=$1 begun=$SECONDS
  shift
  say "$title: $*"
  "$@" || fail "$title: $*"
  say "$title: passed in $((SECONDS - begun)) s"
}

# quietly COMMAND…: keeps the output of a long installation back, and shows the end of it where the command fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then tail -n 20 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}
