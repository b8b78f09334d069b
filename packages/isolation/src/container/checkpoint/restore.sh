# Creates a sandbox's root like create.sh and restores saved processes in it. Sourced by criu-shell.sh: all mount points
# are in a /run that only this shell sees, because CRIU opens them as the sandbox's root user, who may not enter the
# data folder. The UTS namespace of this shell becomes the sandbox's.
# Arguments: folder of the disk scripts, what to do with the disk (`make` or `keep`), image, skeleton, host name,
# generation, file that gets the generation when the processes run; folders of the control group and `--`; CRIU command.
. "$1/disk.sh"
step=$2 image=$3 skeleton=$4 name=$5 generation=$6 mark=$7
shift 7
[ "$step" = keep ] || make_disk "$image" "$skeleton"
# The server mounts everything in this namespace.
echo mount
echo "$name" >/proc/sys/kernel/hostname
# For network-gate.sh.
echo "$generation" >/run/generation
echo "$mark" >/run/mark
read -r _
exec 3<>/run/knock 4</run/knock 5>/run/knock 6<>/run/answer
exec 3<&-

# Runs CRIU in a shell that is in the sandbox's groups, so that every restored process starts in them. This comes after
# the mounts, because the groups' device filter forbids loop devices, and before the new namespace, so that this group
# is its root. "0" stands for the writing process.
{
  while [ "$1" != -- ]; do
    echo 0 >"$1/cgroup.procs"
    shift
  done
  shift
  unshare --cgroup "$@" </dev/null >/dev/null 5>&- && status=0 || status=$?
  echo "ended $status" >&5
} 4<&- 6>&- 8<&- 9<&- &
exec 5>&-

while read -r word detail <&4; do
  if [ "$word" = ended ]; then
    [ "$detail" = 0 ] || exit "$detail"
    keep_facts
    exit 0
  fi
  # The server continues here. If it is gone, the answer is empty.
  echo "$word $detail"
  read -r answer || :
  echo "$answer" >&6
done
# The shell that should report CRIU's result was killed.
exit 1
