#!/bin/sh
# Makes a sandbox's disk, mounts its root, waits for its network and gives both to runsc, in one process of the server.
# Runs in a mount and a network namespace of its own: runsc takes mounts and network into the sandbox, and what is left
# goes when this shell ends.
# Arguments: folder of the scripts about disks, what to do with the disk (`make` or `renew`), image, skeleton, mount table,
# folder for the mount points, first id of the sandbox, the host's network settings (`hide` or `show`), blocks that the disk may
# grow by, file that says that the sandbox is up, file that says which restore has run, generation of the restore (empty: it is a
# start), runsc command.
set -e
. "$1/disk.sh"
step=$2 image=$3 skeleton=$4 table=$5 folder=$6 base=$7 settings=$8 growth=$9
shift 9
launched=$1 mark=$2 generation=$3
shift 3
# The namespaces exist: the host attaches the network meanwhile, and answers when it is there.
echo ready
[ "$step" = renew ] || make_disk "$image" "$skeleton"
# runsc opens the mounts as the sandbox's root, who may pass through here, but not through the data folder.
mount -t tmpfs -o size=64k,mode=711 none "$folder"
cd "$folder"
mount --no-mtab --all --fstab "$table"
limit_growth disk "$growth"
[ "$step" != renew ] || renew_own_files disk "$skeleton" "$base"
read -r _

# The door (docs/decisions/012): gVisor's network stack takes door0 as it takes eth0, with the address of eth0; the kernel
# keeps door1, by which sockets of this namespace reach what listens inside. runsc takes only what is up, so door1 is
# raised afterwards. Nothing is forwarded from one to the other.
echo 0 >/proc/sys/net/ipv4/ip_forward
ip -batch - <<END
link add door0 arp off address 02:50:42:00:01:02 type veth peer name door1 address 02:50:42:00:01:01
link set door1 arp off
addr add 10.11.1.1/32 dev door1
addr add 10.11.0.2/32 dev door0
link set door0 up
neigh add 10.11.1.1 lladdr 02:50:42:00:01:01 dev door0 nud permanent
route add 10.11.1.1 dev door0
END
[ "$settings" = show ] || mount -t tmpfs -o size=4k,ro none /proc/sys/net
# From here on a restored program may run, and has written to the disk, whatever becomes of runsc: unless runsc itself says that it
# failed.
[ -z "$generation" ] || echo "$generation" >"$mark"
# The sandbox inherits these streams and lives longer than this shell.
"$@" </dev/null >/dev/null 2>&1 && status=0 || status=$?
if [ "$status" != 0 ]; then
  # A shell gives 128 and more for a program that was killed: then nobody knows.
  [ "$status" -ge 128 ] || rm -f "$mark"
  exit "$status"
fi
ip -batch - <<END
link set door1 up
neigh add 10.11.0.2 lladdr 02:50:42:00:01:02 dev door1 nud permanent
route add 10.11.0.2 dev door1
END
: >"$launched"
