#!/bin/sh
# Creates a sandbox's disk, mounts its root and creates its container, in one child process of the server: a server with
# a 300 MB heap needs 4 ms to fork, this shell a quarter of one. Runs in a mount namespace of its own, so that nothing
# else has the mounts: crun takes them into the sandbox's namespace, and the others end with this shell.
# Arguments: folder of the disk scripts, what to do with the disk (`make`, `make-over-layers`, `renew`), image,
# skeleton, mount table, folder of the mounted disk, root, first id of the sandbox, blocks that the disk may grow by,
# crun command.
set -e
. "$1/disk.sh"
step=$2 image=$3 skeleton=$4 table=$5 disk=$6 root=$7 base=$8 growth=$9
shift 9
[ "$step" = renew ] || make_disk "$image" "$skeleton"
mount --no-mtab --all --fstab "$table"
limit_growth "$disk" "$growth"
[ "$step" != renew ] || renew_own_files "$disk" "$skeleton" "$base"
[ "$step" = make ] || empty_shared_memory "$root" "$base"

# The sandbox's own id creates the user namespace, not root. The kernel charges inotify instances, queued signals and
# message queues also to the creator, so with one creator for all, one sandbox could use up the share of all others. The
# capability is for hosts that do not let ordinary users create a user namespace.
setpriv --reuid "$base" --regid "$base" --clear-groups --inh-caps +sys_admin --ambient-caps +sys_admin \
  unshare --user -- sh -c 'echo $$; exec sleep 20 >/dev/null' | {
  # This line arrives when the namespace exists.
  read -r holder
  echo "0 $base 65536" >"/proc/$holder/uid_map"
  echo "0 $base 65536" >"/proc/$holder/gid_map"
  # config.json names this descriptor.
  exec 9<"/proc/$holder/ns/user"
  # The sandbox inherits crun's streams and lives longer than this shell.
  "$@" </dev/null >/dev/null 2>&1 && status=0 || status=$?
  kill "$holder"
  exit "$status"
}
