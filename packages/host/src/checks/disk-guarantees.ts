import { readdir } from 'node:fs/promises';
import type { Check, Finding, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { statfsOfNearest } from './disk-space.ts';

/**
 * statfs(2), `f_type`: file systems that write in place, so that overwriting a block of a disk image needs no new
 * block.
 */
const inPlace: Readonly<Record<number, string>> = { 0xef53: 'ext4', 0x58465342: 'XFS' };
const others: Readonly<Record<number, string>> = {
  0x9123683e: 'Btrfs',
  0x2fc12fc1: 'ZFS',
  0xca451a4e: 'bcachefs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x6969: 'NFS',
  0x65735546: 'FUSE',
};

const protects = 'the disks of sandboxes when the disk of the host is full';

/**
 * The assumptions of the disk budget (decision 019): a file system that writes in place, and a kernel that limits dirty
 * data in memory.
 */
export const checkDiskGuarantees: Check = async ({ dataDirectory }: HostSubject) => {
  const { stats } = await statfsOfNearest(dataDirectory);
  const devices = await readdir('/sys/class/bdi').catch(() => []);
  const first = devices[0];
  const bounds = first === undefined ? [] : await readdir(`/sys/class/bdi/${first}`).catch(() => []);
  return [judgeFileSystem(stats.type), judgeUnwrittenBound(bounds.includes('max_bytes'))];
};

export function judgeFileSystem(type: number): Finding {
  const known = inPlace[type];
  const base = { id: 'data-file-system', title: 'File system of the data folder', protects };
  if (known !== undefined) return { ...base, status: 'ok', detail: known };
  const name = others[type] ?? `type 0x${type.toString(16)}`;
  return {
    ...base,
    status: 'warn',
    detail: `${name} is not known to write in place: on a full disk, a sandbox may be unable to overwrite even its existing blocks`,
    fix: sameFix('put the data folder on ext4 or XFS with --data-dir'),
  };
}

export function judgeUnwrittenBound(isThere: boolean): Finding {
  const base = { id: 'unwritten-bound', title: 'Limit on dirty pages', protects };
  if (isThere) return { ...base, status: 'ok', detail: 'the kernel keeps at most 8 MiB of dirty pages for each disk' };
  return {
    ...base,
    status: 'warn',
    detail:
      'this kernel has no /sys/class/bdi/*/max_bytes: if a process of the host fills the disk, sandboxes can lose data that they have not synced',
    fix: sameFix('use Linux 6.2 or later, or put the data folder on its own file system'),
  };
}
