import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { downloadApi } from '../../api/transfer.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { codeOf } from '../../copy/folder-stack.ts';
import { walk } from '../../copy/walk.ts';
import { contentCall } from './volume-place.ts';
import type { VolumePlace } from './volume-place.ts';

/** Something in a folder that is copied, each folder before what is in it. */
export interface TreeEntry {
  /** From the folder on. Empty: the folder itself. */
  readonly path: readonly string[];
  readonly kind: 'file' | 'folder' | 'link' | 'special';
  /** Permissions. */
  readonly mode: number;
  /** In seconds. */
  readonly mtime: number;
  /** Of a file, when it was found. */
  readonly size: number;
  /** Of a link. */
  readonly target: string;
  /** Of a file. */
  read(): AsyncIterable<Uint8Array>;
}

/** The server refuses longer lists anyway. A folder that contains itself cannot exist, but a server could say so. */
const maxDepth = 500;
const kinds = { file: 'file', directory: 'folder', symlink: 'link', unknown: 'special' } as const;

/** A folder of a volume, one list for each folder in it. What it says is checked where it is written. */
export async function* readVolumeTree(
  api: ApiConnection,
  root: VolumePlace,
  entry: ApiVolumeEntry,
  signal: AbortSignal,
): AsyncGenerator<TreeEntry> {
  const convert = (found: ApiVolumeEntry, path: readonly string[]): TreeEntry => ({
    ...{ path, kind: kinds[found.type], mode: found.mode & 0o7777, size: found.size },
    ...{ mtime: Date.parse(found.mtime) / 1000, target: found.target ?? '' },
    read: () => downloadApi(api, contentCall('file', { ...root, path: join(root.path, path) }), signal),
  });
  yield convert(entry, []);
  const folders: (readonly string[])[] = [[]];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    if (folder.length > maxDepth) throw new SoulBoxError('limit_exceeded', `Folders can be at most ${maxDepth} deep.`);
    signal.throwIfAborted();
    const call = contentCall('dir', { ...root, path: join(root.path, folder) }, { depth: 1 });
    for (const found of (await callApi<ApiVolumeEntry[]>(api, call)).body) {
      const one = convert(found, [...folder, found.name]);
      yield one;
      if (one.kind === 'folder') folders.push(one.path);
    }
  }
}

/** A folder of this host. No link in it is followed. */
export async function* readHostTree(root: string): AsyncGenerator<TreeEntry> {
  for await (const { path, kind } of walk(root)) {
    const shown = printable(path.toString('utf8'));
    const place = Buffer.concat([Buffer.from(`${root}/`), path]);
    const parts = path.toString('utf8').split('/').slice(1);
    if (!Buffer.from(path.toString('utf8')).equals(path))
      throw new SoulBoxError('bad_path', `The name ${shown} is not UTF-8. Rename it, or pack the folder with tar.`);
    const found = await lstat(place).catch((error: unknown) => {
      throw errorFromNode(error, `${shown} cannot be read${codeOf(error)}.`);
    });
    yield {
      ...{ path: parts.at(-1) === '' ? [] : parts, kind, mode: found.mode & 0o777, mtime: found.mtimeMs / 1000 },
      ...{ size: found.size, target: '' },
      read: () => readFile(place, shown),
    };
  }
}

async function* readFile(place: Buffer, shown: string): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    yield* file.createReadStream({ highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw isNodeError(error) ? errorFromNode(error, `${shown} cannot be read${codeOf(error)}.`) : error;
  }
}

/** A path below a folder of a volume. */
export function join(root: string, path: readonly string[]): string {
  return path.length === 0 ? root : `${root.replace(/\/+$/, '')}/${path.join('/')}`;
}
