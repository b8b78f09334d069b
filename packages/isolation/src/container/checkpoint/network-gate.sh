#!/bin/sh
# CRIU's action script. CRIU stops at two points until the server has said that it may go on, and fails where the server is gone:
#
# - setup-namespaces: the namespaces exist, and no restored process does. The new network namespace gets the settings that
#   `createOciConfig` gives the first one, and the server attaches the network.
# - post-restore: all is restored, and nothing of it has run yet. The server writes its records. Only then the restore is marked as
#   one that runs, as the last thing that happens before it does: whoever finds no mark knows that the disk is as it was saved.
#
# Both name init to restore.sh, which passes that on to the server. CRIU lets this script inherit nothing, hence the files in /run.
set -e
case $CRTOOLS_SCRIPT_ACTION in
  setup-namespaces)
    namespace=/proc/$CRTOOLS_INIT_PID/ns/net
    if [ "$namespace" -ef /proc/self/ns/net ]; then exit 1; fi
    # Groups by the host's numbers, for this shell is the host's.
    read -r _ first count <"/proc/$CRTOOLS_INIT_PID/gid_map"
    nsenter --net="$namespace" sh -c 'echo "$1 $2" >/proc/sys/net/ipv4/ping_group_range
      echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start' sh "$first" "$((first + count - 1))"
    ;;
  post-restore) ;;
  *) exit 0 ;;
esac
echo "$CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID" >/run/knock
read -r answer </run/answer
[ "$answer" = go ]
[ "$CRTOOLS_SCRIPT_ACTION" = setup-namespaces ] || cat /run/generation >"$(cat /run/marks)"
