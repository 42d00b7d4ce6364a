# shellcheck shell=bash
# Shared by the set-up scripts: messages, stamps, timed steps. Sourced, never run.

# Stamps live beside what they stand for, so that removing build/ starts afresh.
: "${ROOT:?}"
readonly BUILD=$ROOT/build
readonly STAMPS=$BUILD/.stamps
readonly LOGS=$BUILD/log

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# fingerprint TEXT… -- PATH…: one hash of the words, and of every file at or below the paths.
fingerprint() {
  local words=()
  while (($# > 0)) && [[ $1 != -- ]]; do
    words+=("$1")
    shift
  done
  (($# == 0)) || shift
  {
    printf '%s\n' "${words[@]}"
    if (($# > 0)); then
      find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    fi
  } | sha256sum | cut -d' ' -f1
}

# is_current STEP FINGERPRINT OUTPUT…: whether STEP was last done with these inputs and its outputs are there.
is_current() {
  local step=$1 print=$2 stamp='' output
  shift 2
  for output in "$@"; do
    [[ -e $output ]] || return 1
  done
  { read -r stamp <"$STAMPS/$step"; } 2>/dev/null || return 1
  [[ $stamp == "$print" ]]
}

stamp() {
  mkdir -p "$STAMPS"
  printf '%s\n' "$2" >"$STAMPS/$1.new"
  mv "$STAMPS/$1.new" "$STAMPS/$1"
}

# timed NAME WHY COMMAND…: runs a step, its output kept in a log that is shown only when the step fails.
timed() {
  local name=$1 why=$2 log=$LOGS/$1.log status=0 start=$SECONDS
  shift 2
  mkdir -p "$LOGS"
  say "$name: $why …"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    say "$name: failed after $((SECONDS - start)) s; the end of $log:"
    tail -n 25 "$log" | sed 's/^/    /' >&2
    return "$status"
  fi
  say "$name: done in $((SECONDS - start)) s"
}
