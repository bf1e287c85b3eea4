# A PostgreSQL server for the tests: that of TEST_DATABASE_URL, or a throwaway one in a temporary folder that is gone at exit. Tests
# that mistreat a server start their own, with the programs in POSTGRES_BIN.

# shellcheck source=scripts/lib/packages.sh
source scripts/lib/packages.sh

postgres_folder=
postgres_bin=
postgres_as=()

postgres_provide() {
  if ! postgres_find; then
    packages_provide "PostgreSQL" postgresql || packages_unpack "PostgreSQL" postgresql || true
    postgres_find || fail "PostgreSQL is not installed, and could neither be installed nor unpacked" \
      "Install it: apt-get install postgresql"
  fi
  export POSTGRES_BIN=$postgres_bin
  case "$postgres_bin" in
    "$packages_tree"/*)
      POSTGRES_LIBRARIES=$(packages_libraries)
      export POSTGRES_LIBRARIES
      ;;
  esac
  if [ -n "${TEST_DATABASE_URL:-}" ]; then
    say "PostgreSQL: the server of TEST_DATABASE_URL"
    export TEST_DATABASE_URL
    return
  fi
  postgres_start
}

# The server programs: those on the PATH, else the newest of Debian's, which stand off the PATH in a folder a version.
postgres_find() {
  local folder
  while read -r folder; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/postgres" ]; then
      postgres_bin=$folder
      return
    fi
  done < <(
    if folder=$(command -v initdb); then dirname "$(readlink -f "$folder")"; fi
    # Either folder may be missing.
    find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V -r || true
    find "$packages_tree/usr/lib/postgresql" -maxdepth 2 -name bin 2>/dev/null | sort -V -r || true
  )
  return 1
}

postgres_start() {
  local begun=$SECONDS port=
  say "PostgreSQL: starting a throwaway server with the programs in $postgres_bin"
  postgres_folder=$(mktemp -d /tmp/countersign-postgres.XXXXXX)
  if [ "$(id -u)" -eq 0 ]; then
    # PostgreSQL refuses to run as root.
    local user=nobody
    if id postgres >/dev/null 2>&1; then user=postgres; fi
    chown "$user" "$postgres_folder"
    postgres_as=(runuser -u "$user" --)
  fi
  postgres_run initdb -D "$postgres_folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync ||
    fail "initdb could not make a database cluster in $postgres_folder"
  # Nothing here outlives the tests, so nothing waits for the disk. No socket: only 127.0.0.1, and no folder outside this one.
  cat >>"$postgres_folder/data/postgresql.conf" <<'SETTINGS'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
SETTINGS
  # A port that is free now may be taken in a moment: then the start fails, and the next one is tried.
  for _ in 1 2 3 4 5; do
    port=$(postgres_free_port)
    if postgres_run pg_ctl start -w -s -D "$postgres_folder/data" -l "$postgres_folder/log" -o "-p $port"; then
      export TEST_DATABASE_URL="postgres://postgres@127.0.0.1:$port/postgres"
      say "PostgreSQL: $TEST_DATABASE_URL, ready in $((SECONDS - begun)) s"
      return
    fi
  done
  tail -n 20 "$postgres_folder/log" >&2 || true
  fail "the throwaway PostgreSQL server did not start; its log is above"
}

postgres_stop() {
  if [ -z "$postgres_folder" ]; then return; fi
  if [ -e "$postgres_folder/data/postmaster.pid" ]; then
    postgres_run pg_ctl stop -s -m immediate -D "$postgres_folder/data" || true
  fi
  rm -rf "$postgres_folder"
  postgres_folder=
}

# postgres_run PROGRAM ARGUMENT…: as the server's user, from a folder which that user can read.
postgres_run() {
  local program=$1 libraries=${POSTGRES_LIBRARIES:-}
  shift
  (
    cd "$postgres_folder" || exit
    quietly "${postgres_as[@]}" env LC_ALL=C ${libraries:+LD_LIBRARY_PATH="$libraries"} "$postgres_bin/$program" "$@"
  )
}

# A port below the range from which the system picks its own, where nobody answers.
postgres_free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 10000))
    (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null || break
  done
  echo "$port"
}
