/** Files that belong to one sandbox, read-only inside; `writeSkeleton` writes their content. */
export const ownFiles = {
  'resolv.conf': '/etc/resolv.conf',
  hosts: '/etc/hosts',
  hostname: '/etc/hostname',
  'machine-id': '/etc/machine-id',
  'boot-id': '/proc/sys/kernel/random/boot_id',
} as const;
