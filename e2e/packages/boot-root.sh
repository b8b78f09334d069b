#!/bin/bash
# Boots the folder $1 as a Debian of its own; used by fresh-root.ts. Its systemd gets the control groups $2 of this machine and namespaces
# (mount, pid, uts, ipc). Not by chroot(2): a process in a chroot can make no user namespace. systemd believes to be in a container and
# leaves the machine alone, apart from what is kept from it here.
set -e
hierarchies=$(findmnt --raw --noheadings --types cgroup,cgroup2 --output TARGET)
if [ $# = 2 ]; then
  for hierarchy in $hierarchies; do
    # systemd needs its own one, and version 2.
    case "$(findmnt --raw --noheadings --output OPTIONS,FSTYPE "$hierarchy")" in
      *name=systemd* | *cgroup2*) mkdir -p "$hierarchy/$2" && echo $$ > "$hierarchy/$2/cgroup.procs" ;;
    esac
  done
  exec unshare --mount --propagation private --pid --uts --ipc --fork --kill-child=KILL bash "$0" "$1"
fi
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
# It would make the folder of the host read-only.
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
for hierarchy in $hierarchies; do
  mkdir -p "sys/fs/cgroup/${hierarchy#/sys/fs/cgroup}"
  mount --bind "$hierarchy" "sys/fs/cgroup/${hierarchy#/sys/fs/cgroup}"
done
# With control groups of version 1 it would mount each controller that this file names, and crun of the host would miss its folder.
awk 'NR == 1 || $2 != 0' proc/cgroups > run/cgroups
mount --bind run/cgroups proc/cgroups
# It would raise limits of the kernel.
mount --bind -o ro proc/sys proc/sys
# A /dev of its own: systemd-tmpfiles sets owners and modes.
mount -t tmpfs -o mode=755 tmpfs dev
while read -r name kind major minor; do
  mkdir -p "$(dirname "dev/$name")"
  mknod -m 666 "dev/$name" "$kind" "$major" "$minor"
done << 'nodes'
null c 1 3
zero c 1 5
full c 1 7
random c 1 8
urandom c 1 9
tty c 5 0
fuse c 10 229
loop-control c 10 237
net/tun c 10 200
nodes
for number in $(seq 0 255); do mknod -m 660 "dev/loop$number" b 7 "$number"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0 1 2; do ln -s "fd/$number" "dev/std$(sed -n "$((number + 1))p" <<< $'in\nout\nerr')"; done
mount -t tmpfs -o mode=755 tmpfs run
cat /etc/resolv.conf > etc/resolv.conf
pivot_root . mnt
umount --lazy /mnt
exec env -i container=soulbox-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
