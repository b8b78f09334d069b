#!/bin/sh
# CRIU's action script. When the namespaces exist and no restored process runs, it gives the new network namespace the
# settings that `createOciConfig` gives the first one, names init to restore.sh, which passes that on to the server, and
# waits for the server's word. CRIU lets it inherit nothing, hence the FIFOs.
[ "$CRTOOLS_SCRIPT_ACTION" = setup-namespaces ] || exit 0
set -e
namespace=/proc/$CRTOOLS_INIT_PID/ns/net
if [ "$namespace" -ef /proc/self/ns/net ]; then exit 1; fi
# Groups by the host's numbers, for this shell is the host's.
read -r _ first count <"/proc/$CRTOOLS_INIT_PID/gid_map"
nsenter --net="$namespace" sh -c 'echo "$1 $2" >/proc/sys/net/ipv4/ping_group_range
  echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start' sh "$first" "$((first + count - 1))"
echo "$CRTOOLS_INIT_PID" >/run/knock
read -r answer </run/answer
[ "$answer" = go ]
