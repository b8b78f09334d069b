#!/bin/sh
# Runs envd as PID 1 of a throw-away root: sandbox.sh LOWER WORK RUNTIME PORT HOST_TOKEN [VARIABLE...]
# Called through unshare(1) in separate mount and pid namespaces, so all mounts end with the process.
set -e
lower=$1 work=$2 runtime=$3 port=$4 token=$5
shift 5
root=$work/root
mount --make-rprivate /
mkdir -p "$work/upper" "$work/work" "$root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$root"
mkdir -p "$root/proc" "$root/dev" "$root/small" "$root/.soulbox"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
while read -r name major minor; do
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
# A small disk that fills up quickly.
mount -t tmpfs -o size=2m,mode=777 tmpfs "$root/small"
mount --bind "$runtime" "$root/.soulbox"
mount -o remount,bind,ro "$root/.soulbox"
if [ -n "$token" ]; then
  mkdir -p "$root/run/soulbox"
  (umask 077 && printf %s "$token" >"$root/run/soulbox/host-token")
fi
exec env -i SOULBOX_ENVD_PORT="$port" "$@" setpriv --inh-caps=-all \
  --bounding-set=-all,+audit_write,+chown,+dac_override,+fowner,+fsetid,+kill,+mknod,+net_bind_service,+setfcap,+setgid,+setpcap,+setuid,+sys_chroot \
  "$(command -v chroot)" "$root" /.soulbox/ld-linux-x86-64.so.2 --library-path /.soulbox /.soulbox/envd </dev/null
