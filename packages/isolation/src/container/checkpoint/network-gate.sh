#!/bin/sh
# CRIU's action script. CRIU stops at three points until the server lets it continue. If the server is gone, it fails at
# the first two:
#
# - setup-namespaces: the namespaces exist, but no restored process does. The new network namespace gets the settings
#   that `createOciConfig` gives the first one, and the server attaches the network.
# - post-restore: everything is restored, and nothing of it has run yet. The server writes its records. The mark that
#   this restore runs is written last, just before its processes run: without the mark, the disk is as it was saved.
# - pre-resume: all processes are at the place where they go on, and CRIU lets go of them next. The server freezes them
#   (hold-still.ts).
#
# At each point the script passes init's pid to restore.sh, which passes it on to the server. CRIU lets this script
# inherit no descriptors, so it uses the files in /run.
set -e
case $CRTOOLS_SCRIPT_ACTION in
  setup-namespaces)
    namespace=/proc/$CRTOOLS_INIT_PID/ns/net
    if [ "$namespace" -ef /proc/self/ns/net ]; then exit 1; fi
    # Groups by the host's numbers, because this shell belongs to the host.
    read -r _ first count <"/proc/$CRTOOLS_INIT_PID/gid_map"
    nsenter --net="$namespace" sh -c 'echo "$1 $2" >/proc/sys/net/ipv4/ping_group_range
      echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start' sh "$first" "$((first + count - 1))"
    ;;
  post-restore | pre-resume) ;;
  *) exit 0 ;;
esac
echo "$CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID" >/run/knock
read -r answer </run/answer
[ "$answer" = go ]
[ "$CRTOOLS_SCRIPT_ACTION" != post-restore ] || cat /run/generation >"$(cat /run/marks)"
