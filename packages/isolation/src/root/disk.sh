# What the drivers' scripts do to the disk of a sandbox; they source it. No process of the sandbox exists meanwhile, but
# what an earlier one left on the disk may be anything: no path below leads through a link that it could have made.

# make_disk IMAGE SKELETON: an ext4 with the skeleton's content. 4096-byte blocks and an inode per 32 KiB also for small
# disks. No journal (docs/decisions/003), no room for a later resize (it would make mkfs write 4 MiB), nothing kept for root.
make_disk() {
  mkfs.ext4 -q -F -b 4096 -I 256 -i 32768 -m 0 -O ^has_journal,^resize_inode -E lazy_itable_init=1,nodiscard \
    -d "$2" "$1"
}

# limit_growth DISK BLOCKS: from now on the file system may take so many blocks more and no other, whoever writes, until the server
# gives it more (docs/decisions/019). Before anything that runs in the sandbox can write. Of what is written the kernel keeps no more
# than 8 MiB in memory (kernels before 6.2: as much as of any disk): when somebody else fills the host's disk, that much is at stake.
limit_growth() {
  number=$(mountpoint -d "$1")
  device=$(readlink "/sys/dev/block/$number")
  if [ -e "/sys/class/bdi/$number/max_bytes" ]; then
    echo 1 >"/sys/class/bdi/$number/strict_limit"
    echo 8388608 >"/sys/class/bdi/$number/max_bytes"
  fi
  held=$(($(stat -f -c %f "$1") - $2))
  [ "$held" -gt 0 ] || held=0
  echo "$held" >"/sys/fs/ext4/${device##*/}/reserved_clusters"
}

# renew_own_files DISK SKELETON BASE: what names a sandbox and lets it be trusted, new on a disk that was used before.
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
