#!/bin/sh
# Makes a sandbox's root like create.sh and brings saved processes back in it. Runs in a mount and a UTS namespace of its
# own; the latter becomes the sandbox's. All mount points are in a /run that only this shell sees, for CRIU opens them as
# the sandbox's root, who may not enter the data folder.
# Arguments: folder of the scripts about disks, what to do with the disk (`make` or `keep`), image, skeleton, file with
# CRIU's facts about this kernel, mount table, host name, blocks that the disk may grow by; folders of the control group and `--`; CRIU command.
set -e
. "$1/disk.sh"
. "${0%/*}/kernel-facts.sh"
step=$2 image=$3 skeleton=$4 facts=$5 table=$6 name=$7 growth=$8
shift 8
[ "$step" = keep ] || make_disk "$image" "$skeleton"

enter_private_run "$facts"
# The overlay's folders are relative to here.
cd /run
mount --no-mtab --all --fstab "$table"
limit_growth disk "$growth"
echo "$name" >/proc/sys/kernel/hostname

# Between network-gate.sh and the server. When the server is gone, the answer is empty and the restore fails.
mkfifo /run/knock /run/answer
exec 3<&0
{
  read -r init </run/knock
  echo "$init"
  read -r answer <&3 || :
  echo "$answer" >/run/answer
} 9<&- &
porter=$!

# Every restored process is born in the groups that this shell is in. After the mounts, because their device filter does
# not let it at loop devices; before the new namespace, so that this group is its root.
while [ "$1" != -- ]; do
  echo $$ >"$1/cgroup.procs"
  shift
done
shift
unshare --cgroup "$@" </dev/null >/dev/null 3<&- 9<&- && status=0 || status=$?
kill "$porter" 2>/dev/null || :
[ "$status" = 0 ] || exit "$status"
keep_facts
