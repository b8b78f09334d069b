import { statfs } from 'node:fs/promises';

/**
 * Magic numbers of file systems where other machines can change files without local events (kernel:
 * include/uapi/linux/magic.h).
 */
const networkFileSystems = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xfe534d42, // SMB2
  0xff534d42, // CIFS
  0x65735546, // FUSE
  0x01021997, // 9P
  0x00c36400, // Ceph
  0x5346414f, // AFS
]);

/**
 * Whether inotify would miss changes at this path. The type of the root itself is allowed, because its disk belongs to
 * the sandbox alone: gVisor reports it as 9P.
 */
export async function isNetworkMount(path: string): Promise<boolean> {
  const [{ type }, root] = await Promise.all([statfs(path), statfs('/')]);
  // The field is signed on some architectures.
  return type !== root.type && networkFileSystems.has(type >>> 0);
}
