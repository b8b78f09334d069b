#!/bin/sh
# Makes a sandbox's root like create.sh and brings saved processes back in it. Runs in a mount and a UTS namespace of its
# own; the latter becomes the sandbox's. All mount points are in a /run that only this shell sees, for CRIU opens them as
# the sandbox's root, who may not enter the data folder.
# Arguments: folder of the scripts about disks, what to do with the disk (`make` or `keep`), image, skeleton, file with
# CRIU's facts about this kernel, mount table, host name, generation, file that gets it when the processes run; blocks that the
# disk may grow by; folders of the control group and `--`; CRIU command.
set -e
. "$1/disk.sh"
. "${0%/*}/kernel-facts.sh"
step=$2 image=$3 skeleton=$4 facts=$5 table=$6 name=$7 generation=$8 mark=$9
shift 9
growth=$1
shift
[ "$step" = keep ] || make_disk "$image" "$skeleton"

enter_private_run "$facts"
# The overlay's folders are relative to here.
cd /run
mount --no-mtab --all --fstab "$table"
limit_growth disk "$growth"
echo "$name" >/proc/sys/kernel/hostname

# What network-gate.sh says and hears. Both are held open here, so that nobody waits for a reader or a writer that never comes; each
# reads an end where the other side has died: CRIU's then fails the restore, and ours ends with it.
mkfifo /run/knock /run/answer
echo "$generation" >/run/generation
echo "$mark" >/run/marks
exec 3<>/run/knock 4</run/knock 5>/run/knock 6<>/run/answer
exec 3<&-

# CRIU, in a shell that is in the sandbox's groups: every restored process is born in them. After the mounts, because their device
# filter does not let it at loop devices; before the new namespace, so that this group is its root. "0" stands for who writes it.
{
  while [ "$1" != -- ]; do
    echo 0 >"$1/cgroup.procs"
    shift
  done
  shift
  unshare --cgroup "$@" </dev/null >/dev/null 5>&- && status=0 || status=$?
  echo "ended $status" >&5
} 4<&- 6>&- 9<&- &
exec 5>&-

while read -r word detail <&4; do
  if [ "$word" = ended ]; then
    [ "$detail" = 0 ] || exit "$detail"
    keep_facts
    exit 0
  fi
  # The server's turn. When it is gone, the answer is empty.
  echo "$word $detail"
  read -r answer || :
  echo "$answer" >&6
done
# Whoever was to say how CRIU ended was killed.
exit 1
