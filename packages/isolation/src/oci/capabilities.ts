/**
 * Capabilities of the sandbox's root inside its own user namespace (docs/decisions/008): enough for package managers,
 * sudo and servers. No NET_ADMIN (the host decides the network), no SYS_ADMIN (mounts), no SYS_PTRACE, no NET_RAW.
 */
const rootCapabilities = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

export const sandboxCapabilities = {
  bounding: rootCapabilities,
  effective: rootCapabilities,
  permitted: rootCapabilities,
  // Nothing is inherited or ambient: an ordinary user's processes start without capabilities.
  inheritable: [],
  ambient: [],
} as const;
