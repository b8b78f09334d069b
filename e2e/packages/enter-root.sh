#!/bin/bash
# Run by fresh-root.ts in namespaces of its own (mount, pid): makes the folder $1 the root of all that runs there, and waits as its first process.
# Not by chroot(2): a process in a chroot can make no user namespace.
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
cat /etc/resolv.conf > etc/resolv.conf
pivot_root . mnt
umount --lazy /mnt
echo ready
# Waits for whatever is left to it, too.
sleep infinity &
wait
