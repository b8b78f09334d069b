import { createHmac, timingSafeEqual } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { keyBytes } from '../gcm.ts';

/** A line of the file: `soulbox-master-key-1 ID KEY`, the key in base64url. Lines that start with `#` are comments. */
const linePattern = /^soulbox-master-key-1 (file:[0-9a-f]{16}) ([A-Za-z0-9_-]{43})$/;
const header = `# Master keys of SoulBox. Without them, the secrets in its records cannot be read (docs/secrets.md).\n`;

export interface FileKey {
  readonly id: string;
  readonly key: Buffer;
}

/** The id follows from the key, so that a wrong key cannot have the right id. It reveals nothing about the key. */
export function idOfKey(key: Buffer): string {
  return `file:${createHmac('sha256', key).update('soulbox master key id').digest('hex').slice(0, 16)}`;
}

/** Throws `config_invalid`, naming the line but never its content. */
export function parseKeyLines(text: string, path: string): FileKey[] {
  const keys = text.split('\n').flatMap((line, index): FileKey[] => {
    if (line === '' || line.startsWith('#')) return [];
    const [, id = '', encoded = ''] = linePattern.exec(line) ?? [];
    const key = Buffer.from(encoded, 'base64url');
    if (key.length !== keyBytes || !sameText(idOfKey(key), id))
      throw new SoulBoxError(
        'config_invalid',
        `Line ${index + 1} of ${path} is not a master key, or is damaged. Put the file back from a backup (docs/secrets.md).`,
      );
    return [{ id, key }];
  });
  if (new Set(keys.map(({ id }) => id)).size < keys.length)
    throw new SoulBoxError('config_invalid', `${path} has a master key twice.`);
  return keys;
}

export function formatKeyLines(keys: readonly FileKey[]): string {
  const lines = keys.map(({ id, key }) => `soulbox-master-key-1 ${id} ${key.toString('base64url')}\n`);
  return header + lines.join('');
}

const sameText = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
