import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasFile } from '@soulbox/base';
import { readFolderPolicy } from '@soulbox/linux/fscrypt';
import { serviceReserveName } from '@soulbox/storage/reserve-name';
import type { Check, Finding, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** Devices below devices: a volume group on RAID on a partition has 4 levels. */
const levelsMax = 8;

/**
 * `folders`: the folders with tenants' files are encrypted by SoulBox or by the operator, the device is not. `unknown`:
 * the file system does not name its device, as Btrfs, ZFS and overlayfs.
 */
export type DiskEncryption = 'encrypted' | 'folders' | 'readable' | 'unknown';

/**
 * Whether the disk with the data folder is encrypted by the host (dm-crypt, such as LUKS), or the folders with
 * tenants' files by SoulBox. Saved memory and records are encrypted in any case (decision 045).
 */
export const checkDiskEncryption: Check = async ({ dataDirectory }: HostSubject) => {
  const found = await findDiskEncryption(await deviceOfNearest(dataDirectory));
  if (found === 'encrypted' || !hasEncryptedFolders(dataDirectory)) return judgeDiskEncryption(found);
  return judgeDiskEncryption('folders', await findReadableFolders(dataDirectory));
};

/** `readable`: with `folders`, the names of those that are not encrypted. */
export function judgeDiskEncryption(found: DiskEncryption, readable: readonly string[] = []): Finding {
  const base = {
    id: 'disk-encryption',
    title: 'Encryption of the disk with the data folder',
    protects: 'the files of sandboxes when a disk is stolen',
  };
  if (found === 'encrypted') return { ...base, status: 'ok', detail: 'dm-crypt' };
  if (found === 'folders' && readable.length > 0)
    return {
      ...base,
      status: 'warn',
      detail: `the folders with files of tenants are encrypted (fscrypt), except ${readable.join(' and ')}, which an earlier version has left readable`,
      fix: sameFix(
        'make a backup and restore it with --encrypt-disks into a new data folder, or delete these volumes or unmount these buckets and restart the server, see docs/secrets.md',
      ),
    };
  if (found === 'folders')
    return { ...base, status: 'ok', detail: 'the folders with files of tenants are encrypted (fscrypt)' };
  return {
    ...base,
    status: 'warn',
    detail:
      found === 'readable'
        ? 'not encrypted: the disks of sandboxes, layers and uploads are readable on a stolen disk; saved memory and records are encrypted'
        : 'unknown: the file system does not name a block device',
    fix: sameFix(
      'put the data folder on an encrypted device (cryptsetup luksFormat), or start on a new data folder with SOULBOX_ENCRYPT_DISKS=true, see docs/secrets.md',
    ),
  };
}

/** The runner encrypts all its folders or none; these have the disks. */
function hasEncryptedFolders(dataDirectory: string): boolean {
  try {
    return ['sandboxes', 'layers'].every((name) => readFolderPolicy(join(dataDirectory, name)).kind === 'encrypted');
  } catch {
    return false;
  }
}

/** Of the folders that were not encrypted from the first version on, those with files. */
async function findReadableFolders(dataDirectory: string): Promise<string[]> {
  const readable: string[] = [];
  for (const name of ['volumes', 'buckets'])
    if (isReadable(join(dataDirectory, name)) && (await hasFile(join(dataDirectory, name), [serviceReserveName])))
      readable.push(name);
  return readable;
}

function isReadable(folder: string): boolean {
  try {
    return readFolderPolicy(folder).kind !== 'encrypted';
  } catch {
    return false;
  }
}

/** Every device below must be checked: of a RAID with one readable disk, that disk can be read. */
export async function findDiskEncryption(device: string, sys = '/sys/dev/block', level = 0): Promise<DiskEncryption> {
  const folder = join(sys, device);
  const uuid = await readFile(join(folder, 'dm/uuid'), 'utf8').catch(() => '');
  if (uuid.startsWith('CRYPT-')) return 'encrypted';
  const own = await readdir(folder).catch(() => undefined);
  if (own === undefined || level === levelsMax) return 'unknown';
  const slaves = await readdir(join(folder, 'slaves')).catch(() => []);
  if (slaves.length === 0) return 'readable';
  const below = await Promise.all(
    slaves.map(async (name) => {
      const number = await readFile(join(folder, 'slaves', name, 'dev'), 'utf8').catch(() => '');
      return await findDiskEncryption(number.trim(), sys, level + 1);
    }),
  );
  if (below.every((each) => each === 'encrypted')) return 'encrypted';
  return below.includes('readable') ? 'readable' : 'unknown';
}

/** Device number, `major:minor`, of the file system with the folder or its nearest ancestor. */
async function deviceOfNearest(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return path === '/' ? '' : await deviceOfNearest(dirname(path));
  // makedev(3).
  const major = Math.floor(found.dev / 256) % 4096;
  const minor = (found.dev % 256) + Math.floor(found.dev / 2 ** 20) * 256;
  return `${major}:${minor}`;
}
