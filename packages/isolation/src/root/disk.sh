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
