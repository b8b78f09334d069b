#!/bin/sh
# Creates a sandbox's disk, waits for its root and its network and passes both to runsc, in one child process of the
# server. Runs in a mount and a network namespace of its own: runsc takes mounts and network into the sandbox, and the
# rest ends with this shell.
# Arguments: folder of the disk scripts, what to do with the disk (`make` or `renew`), image, skeleton, folder for the
# mount points, first id of the sandbox, the host's network settings (`hide` or `show`), file that marks the sandbox as
# up, file that names the restore that has run, generation of the restore (empty: it is a start), folder where volumes
# are mounted already by number, their places, runsc command.
set -e
. "$1/disk.sh"
step=$2 image=$3 skeleton=$4 folder=$5 base=$6 settings=$7 launched=$8 mark=$9
shift 9
generation=$1 arrivals=$2 volumes=$3
shift 3
# The namespaces exist: the server attaches the network meanwhile, and answers when it is attached.
echo network
[ "$step" = renew ] || make_disk "$image" "$skeleton"
# runsc opens the mounts as the sandbox's root user, who may traverse this folder, but not the data folder.
mount -t tmpfs -o size=64k,mode=711 none "$folder"
cd "$folder"
# The server mounts the root in it meanwhile.
echo mount
# The places of volumes (gvisor/volumes/places.ts). Nobody can write in these folders, and each volume is a mount of its own.
mkdir -m 711 places
mount -t tmpfs -o size=64k,mode=711,nosuid,nodev soulbox-places places
folders='places/volumes places/buckets'
for number in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  folders="$folders places/volumes/$number places/buckets/$number"
done
# One program for all: each costs a millisecond.
mkdir -m 755 $folders
mount -o remount,ro places
for place in $volumes; do
  arrival=$arrivals/${place##*/}
  mount --bind -o "X-mount.idmap=b:0:$base:65536" "$arrival" "places/$place"
  # Lazily: the server has it open.
  umount --lazy "$arrival"
done
read -r _
read -r _
[ "$step" != renew ] || renew_own_files disk "$skeleton" "$base"

# The door (docs/decisions/012): gVisor's network stack takes door0 like eth0, with the address of eth0. The kernel
# keeps door1, through which sockets of this namespace reach services inside. runsc takes only interfaces that are up,
# so door1 is raised afterwards. Nothing is forwarded from one to the other.
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
# From here on a restored program may run and may have written to the disk, whatever happens to runsc, unless runsc
# itself reports that it failed.
[ -z "$generation" ] || echo "$generation" >"$mark"
# gVisor wakes up each millisecond, also while nothing runs inside (google/gvisor issue 13361), which takes 5 % of a CPU.
# With a slack of 4 ms, which all its threads inherit, it takes half of that or less (docs/decisions/081).
echo 4000000 >/proc/self/timerslack_ns || :
# The sandbox inherits these streams and lives longer than this shell.
"$@" </dev/null >/dev/null 2>&1 && status=0 || status=$?
if [ "$status" != 0 ]; then
  # A shell returns 128 or more for a program that was killed: then the result is unknown.
  [ "$status" -ge 128 ] || rm -f "$mark"
  exit "$status"
fi
ip -batch - <<END
link set door1 up
neigh add 10.11.0.2 lladdr 02:50:42:00:01:02 dev door1 nud permanent
route add 10.11.0.2 dev door1
END
: >"$launched"
