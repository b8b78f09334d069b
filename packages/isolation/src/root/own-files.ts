/** Files of a sandbox's own, read-only inside; what stands in each is written by `writeSkeleton`. */
export const ownFiles = {
  'resolv.conf': '/etc/resolv.conf',
  hosts: '/etc/hosts',
  hostname: '/etc/hostname',
  'machine-id': '/etc/machine-id',
  'boot-id': '/proc/sys/kernel/random/boot_id',
} as const;
