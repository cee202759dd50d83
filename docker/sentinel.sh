#!/bin/sh
# Starts a sentinel. It writes what it learns into its own file, so that file is a copy; and no
# configuration file can read the environment, so the password is written into it here.
#   REDIS_PRIMARY    host and port of the first master
#   REDIS_PASSWORD   of master and replica
#   SENTINEL_DIR     where the copy is kept; /data when left out
# Arguments go to the server.
set -eu
file="${SENTINEL_DIR:-/data}/sentinel.conf"
# After a restart it goes on with what it had learned.
if [ ! -f "$file" ]; then
  umask 077
  {
    cat "$(dirname "$0")/sentinel.conf"
    echo "sentinel monitor cache $REDIS_PRIMARY 2"
    echo "sentinel auth-pass cache $REDIS_PASSWORD"
  } >"$file.new"
  mv "$file.new" "$file"
fi
exec redis-server "$file" --sentinel "$@"
