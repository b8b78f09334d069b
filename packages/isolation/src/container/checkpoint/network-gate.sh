#!/bin/sh
# CRIU's action script. When the namespaces exist and no restored process runs, it names init to restore.sh, which passes
# that on to the server, and waits for the server's word. CRIU lets it inherit nothing, hence the FIFOs.
[ "$CRTOOLS_SCRIPT_ACTION" = setup-namespaces ] || exit 0
echo "$CRTOOLS_INIT_PID" >/run/knock
read -r answer </run/answer
[ "$answer" = go ]
