import { z } from 'zod';
import { key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';

const absoluteOrEmpty = z.string().refine((path) => path === '' || path.startsWith('/'), 'must be an absolute path');

/** Where what sleeps, and what volumes have, is uploaded to. */
export const storageConfigSchema = {
  url: key(
    'SOULBOX_STORAGE',
    z.string(),
    '',
    'URL of an object store to which paused sandboxes, snapshots, templates and volumes are uploaded, encrypted (docs/storage.md). Empty: everything is on the disk of this host only.',
  ),
  credentialsFile: key(
    'SOULBOX_STORAGE_CREDENTIALS_FILE',
    absoluteOrEmpty,
    '',
    'JSON file with the credentials of the store (mode 0600). The server gives it to the user of the process that reads it. Empty: variables and roles, as the SDK of the store finds them.',
  ),
  keyFile: key(
    'SOULBOX_STORAGE_KEY_FILE',
    absoluteOrEmpty,
    '',
    'File with the key under which everything is encrypted before it is uploaded (`soulbox storage key`, mode 0600). Keep a copy elsewhere: without it, what is in the store is lost.',
  ),
  localMb: key(
    'SOULBOX_STORAGE_LOCAL_MB',
    z.coerce.number().int().min(0),
    0,
    'MiB of saved memory and layers that are kept on the disk of this host once they are in the object store; the least recently used are removed first, also when the disk is nearly full, and fetched again when they are needed. 0: all are kept.',
  ),
  volumeLocalMb: key(
    'SOULBOX_VOLUME_LOCAL_MB',
    wholeNumber(0, 1024 ** 3),
    0,
    'MiB of the disk for contents of volumes that are in the object store: beyond it, those that were not read for the longest time are removed, and fetched when they are read. 0: all stay.',
  ),
} as const;

export type StorageConfig = ConfigOf<typeof storageConfigSchema>;

/** Settings that make no sense together. */
export function findStorageFaults(config: StorageConfig): string[] {
  const { url, credentialsFile, keyFile, localMb, volumeLocalMb } = config;
  if (url === '') {
    const idle = [
      ...(credentialsFile === '' ? [] : ['SOULBOX_STORAGE_CREDENTIALS_FILE']),
      ...(localMb === 0 ? [] : ['SOULBOX_STORAGE_LOCAL_MB']),
      ...(volumeLocalMb === 0 ? [] : ['SOULBOX_VOLUME_LOCAL_MB']),
    ];
    return idle.map((name) => `${name}: only useful with SOULBOX_STORAGE`);
  }
  return keyFile === ''
    ? ['SOULBOX_STORAGE_KEY_FILE: needed with SOULBOX_STORAGE, make one with "soulbox storage key"']
    : [];
}
