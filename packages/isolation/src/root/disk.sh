# Functions of the drivers' scripts for a sandbox's disk; the scripts source this file. No process of the sandbox exists
# meanwhile, but the files that an earlier one left on the disk may be anything: no path below follows a link that it
# could have created.

# make_disk IMAGE SKELETON: an ext4 with the skeleton's content. Small disks also get 4096-byte blocks and an inode per
# 32 KiB. No journal (docs/decisions/003), no space for a later resize (it would make mkfs write 4 MiB), nothing
# reserved for root.
make_disk() {
  mkfs.ext4 -q -F -b 4096 -I 256 -i 32768 -m 0 -O ^has_journal,^resize_inode -E lazy_itable_init=1,nodiscard \
    -d "$2" "$1"
}

# limit_growth DISK BLOCKS: from now on the file system may use that many additional blocks, whoever writes, until the
# server allows more (docs/decisions/019). Called before anything in the sandbox can write. The kernel keeps at most 8
# MiB of unwritten data in memory (kernels before 6.2: as much as of any disk): if somebody else fills the host's disk,
# that much can be lost.
limit_growth() {
  number=$(stat -c %Hd:%Ld "$1")
  free=$(stat -f -c %f "$1")
  # A create waits for this, and each program costs 1.3 ms. The shell can follow the link itself.
  here=$PWD
  cd -P "/sys/dev/block/$number"
  device=${PWD##*/}
  cd "$here"
  if [ -e "/sys/class/bdi/$number/max_bytes" ]; then
    echo 1 >"/sys/class/bdi/$number/strict_limit"
    echo 8388608 >"/sys/class/bdi/$number/max_bytes"
  fi
  held=$((free - $2))
  [ "$held" -gt 0 ] || held=0
  echo "$held" >"/sys/fs/ext4/$device/reserved_clusters"
}

# renew_own_files DISK SKELETON BASE: renews the files that identify and authenticate a sandbox, on a disk that was used
# before.
renew_own_files() {
  rm -rf --one-file-system "$1/etc" "$1/run"
  cp -r --preserve=mode "$2/etc" "$2/run" "$1"
  chown -R "$3:$3" "$1/etc" "$1/run"
}

# empty_shared_memory ROOT BASE: /dev/shm as after a boot.
empty_shared_memory() {
  if [ -L "$1/dev" ] || ! [ -d "$1/dev" ]; then
    rm -f "$1/dev"
    mkdir -m 755 "$1/dev"
    chown "$2:$2" "$1/dev"
  fi
  rm -rf --one-file-system "$1/dev/shm"
  mkdir -m 1777 "$1/dev/shm"
  chown "$2:$2" "$1/dev/shm"
}
