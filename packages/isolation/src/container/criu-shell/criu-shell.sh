#!/bin/sh
# A shell that waits for one script that runs CRIU, dump.sh or restore.sh. What does not depend on the sandbox is done
# already. Runs in a mount and a UTS namespace of its own; mounts that end on the host end here too.
# Argument: file with CRIU's facts about this kernel.
set -e
. "${0%/*}/kernel-facts.sh"
enter_private_run "$1"
mkdir /run/images
# Output and input of network-gate.sh. restore.sh holds both open, so that neither side waits for a reader or writer that
# never comes. If the other side has died, each reads an end of file: CRIU's script then fails the restore, and restore.sh
# ends with it.
mkfifo /run/knock /run/answer
. "${0%/*}/../../host/take-order.sh"
take_facts
. "$script"
