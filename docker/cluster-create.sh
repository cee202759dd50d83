#!/bin/sh
# Makes one Cluster of the nodes, unless they are one already, and ends when all of it is in order.
#   REDIS_CLUSTER   host:port of each node, with commas: as many masters as replicas
#   REDISCLI_AUTH   the password, read by redis-cli
set -eu

nodes=''
for node in $(echo "$REDIS_CLUSTER" | tr ',' ' '); do
  host="${node%:*}"
  # Nodes meet by address, not by name.
  case "$host" in
    *[!0-9.]*) host="$(getent hosts "$host" | awk '{ print $1; exit }')" ;;
  esac
  nodes="$nodes $host:${node##*:}"
done

info() {
  redis-cli -h "${1%:*}" -p "${1##*:}" cluster info
}
in_order() {
  for node in $nodes; do
    info "$node" | grep -q '^cluster_state:ok' || return 1
  done
  redis-cli --cluster check "${nodes##* }" >/dev/null
}

if info "${nodes##* }" | grep -q '^cluster_known_nodes:1[^0-9]'; then
  # shellcheck disable=SC2086 # one argument for each node
  redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes
fi
attempts=0
until in_order; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 60 ]; then
    echo 'the cluster is not in order after a minute' >&2
    exit 1
  fi
  sleep 1
done
echo 'the cluster is in order'
