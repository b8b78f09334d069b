import { statSync } from 'node:fs';

/**
 * What tells the root folder of a template from a copy of it. The disk of a sandbox names folders and files of the root that it was made
 * on by their inodes, and the kernel takes nothing else for them (decision 027).
 */
export function readGround(rootfs: string): string {
  const { ino, birthtimeNs } = statSync(rootfs, { bigint: true });
  return `${ino}:${birthtimeNs}`;
}
