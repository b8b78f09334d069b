#!/bin/sh
# Takes the mounts of a sandbox off the host and lets its init become envd. Arguments: disk, lower, rootfs, crun command.
disk=$1 lower=$2 rootfs=$3
shift 3
# What stays mounted is taken away when the sandbox ends.
umount -- "$rootfs" "$lower" "$disk" || true
exec "$@" >/dev/null 2>&1
