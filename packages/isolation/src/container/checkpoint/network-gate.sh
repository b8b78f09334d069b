#!/bin/sh
# CRIU's action script. CRIU stops at three points until the server lets it continue. If the server is gone, it fails at
# the first two:
#
# - setup-namespaces: the namespaces exist, but no restored process does. The server attaches the network.
# - post-restore: everything is restored, and nothing of it has run yet. The server writes its records. The mark that
#   this restore runs is written last, just before its processes run: without the mark, the disk is as it was saved.
# - pre-resume: all processes are at the place where they go on, and CRIU lets go of them next. The server freezes them
#   (hold-still.ts).
#
# At each point the script passes init's pid to restore.sh, which passes it on to the server. CRIU lets this script
# inherit no descriptors, so it uses the files in /run.
set -e
case $CRTOOLS_SCRIPT_ACTION in
  setup-namespaces | post-restore | pre-resume) ;;
  *) exit 0 ;;
esac
echo "$CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID" >/run/knock
read -r answer </run/answer
[ "$answer" = go ]
[ "$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
IFS= read -r mark </run/mark
IFS= read -r generation </run/generation
echo "$generation" >"$mark"
