import type { Stats } from 'node:fs';
import { chmod, chown, lchown, lstat, lutimes, truncate, utimes } from 'node:fs/promises';
import { u32, u64 } from './wire.ts';
import type { Reader } from './wire.ts';

/** Flags of the attributes (draft-ietf-secsh-filexfer-02, section 5). */
const flags = { size: 1, ids: 2, mode: 4, times: 8, extended: 0x8000_0000 } as const;

export interface Attributes {
  readonly size?: number;
  readonly ids?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
  readonly times?: { readonly accessed: number; readonly changed: number };
}

export function readAttributes(reader: Reader): Attributes {
  const present = reader.u32();
  const has = (flag: number): boolean => (present & flag) !== 0;
  const read = {
    ...(has(flags.size) ? { size: reader.u64() } : {}),
    ...(has(flags.ids) ? { ids: { uid: reader.u32(), gid: reader.u32() } } : {}),
    ...(has(flags.mode) ? { mode: reader.u32() & 0o7777 } : {}),
    ...(has(flags.times) ? { times: { accessed: reader.u32(), changed: reader.u32() } } : {}),
  };
  if (has(flags.extended)) for (let left = 2 * reader.u32(); left > 0; left -= 1) reader.bytes();
  return read;
}

export function attributesOf(stats: Stats): Buffer {
  const seconds = (ms: number): Buffer => u32(Math.floor(ms / 1000));
  const ids = [u32(stats.uid), u32(stats.gid)];
  const times = [seconds(stats.atimeMs), seconds(stats.mtimeMs)];
  const present = flags.size | flags.ids | flags.mode | flags.times;
  return Buffer.concat([u32(present), u64(stats.size), ...ids, u32(stats.mode), ...times]);
}

export const noAttributes = u32(0);

/** Does not follow a link at the path. Throws for a size or mode of a link, which has none of its own. */
export async function setOwnAttributes(path: Buffer, attributes: Attributes): Promise<void> {
  if (!(await lstat(path)).isSymbolicLink()) {
    await setAttributes(path, attributes);
    return;
  }
  const { size, ids, mode, times } = attributes;
  if (size !== undefined || mode !== undefined) throw new Error('A link has no size or mode of its own.');
  if (ids !== undefined) await lchown(path, ids.uid, ids.gid);
  if (times !== undefined) await lutimes(path, times.accessed, times.changed);
}

/** In the order of OpenSSH's server: a time that is set must not be changed by what follows. */
export async function setAttributes(path: Buffer, { size, ids, mode, times }: Attributes): Promise<void> {
  if (size !== undefined) await truncate(path, size);
  if (mode !== undefined) await chmod(path, mode);
  if (ids !== undefined) await chown(path, ids.uid, ids.gid);
  if (times !== undefined) await utimes(path, times.accessed, times.changed);
}
