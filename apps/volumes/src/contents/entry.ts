import type { PathEntry } from '@soulbox/volumes';

/** A file, folder or link, as E2B's content API describes it. */
export interface Entry {
  readonly name: string;
  readonly type: 'unknown' | 'file' | 'directory' | 'symlink';
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: string;
  readonly mtime: string;
  readonly ctime: string;
  readonly target?: string;
}

const types = { file: 'file', folder: 'directory', link: 'symlink', other: 'unknown' } as const;

export function entryToWire({ path, name, sizeBytes, type, linkTarget, ...entry }: PathEntry): Entry {
  const { mode, uid, gid, accessedAt, modifiedAt, changedAt } = entry;
  return {
    name: name === '' ? '/' : name,
    type: types[type],
    path: path === '' ? '/' : path,
    size: type === 'file' ? sizeBytes : 0,
    ...{ mode, uid, gid, atime: timeOf(accessedAt), mtime: timeOf(modifiedAt), ctime: timeOf(changedAt) },
    ...(linkTarget === undefined ? {} : { target: linkTarget }),
  };
}

/** The first and the last time that RFC 3339 can write. Programs in a sandbox can set any. */
const firstMs = -62_167_219_200_000;
const lastMs = 253_402_300_799_999;

function timeOf({ sec, nsec }: PathEntry['modifiedAt']): string {
  const ms = sec * 1000 + Math.floor(nsec / 1e6);
  return new Date(Math.min(lastMs, Math.max(firstMs, ms))).toISOString();
}
