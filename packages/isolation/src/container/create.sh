# Creates a sandbox's disk and its container. Sourced by a shell that waited for it, in a mount namespace of its own, so that
# nothing else has the mounts: crun takes them into the sandbox's namespace, and the others end with this shell.
# Arguments: folder of the disk scripts, what to do with the disk (`make`, `make-over-layers`, `renew`), image,
# skeleton, folder of the mounted disk, root, first id of the sandbox, file for init's pid, folder of the bundle, name of
# the container, crun command.
. "$1/disk.sh"
step=$2 image=$3 skeleton=$4 disk=$5 root=$6 base=$7 pid_file=$8 bundle=$9
shift 9
name=$1
shift
[ "$step" = renew ] || make_disk "$image" "$skeleton"
# The server mounts the root in this namespace.
echo mount
read -r _
[ "$step" != renew ] || renew_own_files "$disk" "$skeleton" "$base"
[ "$step" = make ] || empty_shared_memory "$root" "$base"
# The sandbox inherits crun's streams and lives longer than this shell.
"$@" create --bundle "$bundle" --pid-file "$pid_file" "$name" </dev/null >/dev/null 2>&1
# The server attaches the network.
echo created
read -r _
exec "$@" start "$name" </dev/null >/dev/null 2>&1
