import { writeFileSync } from 'node:fs';
import { chmod, mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { OpenParcel } from '@soulbox/vault';
import { parseHead, placesOf } from '@soulbox/vault/flat';
import type { FlatFile, FlatHead, FlatPlaces } from '@soulbox/vault/flat';

/** A parcel in the form of `flat.ts`, of which the head and all small files have been read. */
export interface FlatBeginning {
  readonly head: FlatHead;
  readonly places: FlatPlaces;
  /** The content up to its large files. */
  readonly bytes: Buffer;
}

/** Saved processes with more have never been seen. */
const beginningMaxBytes = 256 * 1024 * 1024;
const smallBytes = 64 * 1024;
/** Chunks that are read at once. */
const atOnce = 8;

export async function readBeginning(
  parcel: OpenParcel,
  headBytes: number,
  readChunk: (at: number) => Promise<Buffer>,
): Promise<FlatBeginning> {
  const { chunkBytes } = parcel;
  const chunks: Buffer[] = [];
  const readTo = async (end: number): Promise<Buffer> => {
    if (end > beginningMaxBytes) throw new SoulBoxError('storage_damaged', 'The list of a parcel is too long.');
    while (chunks.length * chunkBytes < end) {
      const first = chunks.length;
      const count = Math.min(atOnce, Math.ceil(end / chunkBytes) - first);
      chunks.push(...(await Promise.all(Array.from({ length: count }, async (_, at) => await readChunk(first + at)))));
    }
    return Buffer.concat(chunks);
  };
  const head = parseHead((await readTo(headBytes)).subarray(0, headBytes));
  const places = placesOf(headBytes, head);
  if (places.sizeBytes !== parcel.sizeBytes)
    throw new SoulBoxError('storage_damaged', 'The list of files of a parcel does not fit its size.');
  return { head, places, bytes: await readTo(places.smallEnd) };
}

/**
 * Writes the folders and the small files of a parcel. Large ones get their size, and no content. `pathOf` says where a
 * file is put. Returns the large files.
 */
export async function writeBeginning(
  { head, places, bytes }: FlatBeginning,
  pathOf: (path: string) => string,
): Promise<FlatFile[]> {
  for (const { path, mode } of head.folders) {
    await mkdir(pathOf(path), { recursive: true, mode: 0o700 });
    await chmod(pathOf(path), mode);
  }
  const large = places.files.filter(({ at, sizeBytes }) => at + sizeBytes > places.smallEnd);
  for (const folder of new Set(places.files.map(({ path }) => dirname(pathOf(path)))))
    await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { path, mode, sizeBytes, at } of places.files) {
    const content = bytes.subarray(at, at + sizeBytes);
    // A turn of the thread pool for each of 70 files of some KiB takes longer than all of their writes.
    if (sizeBytes <= smallBytes) writeFileSync(pathOf(path), content, { mode });
    else if (at + sizeBytes <= places.smallEnd) await writeFile(pathOf(path), content, { mode });
  }
  for (const { path, mode, sizeBytes } of large) {
    await using handle = await open(pathOf(path), 'w', mode);
    await handle.truncate(sizeBytes);
  }
  return large;
}

/** The place of a path of a parcel of a checkpoint: in the draft of the checkpoint, or in the folder of archived parts. */
export function placeOfPart(dataDirectory: string, checkpointId: string, draft: string, path: string): string {
  const own = `states/${checkpointId}`;
  if (path === own) return draft;
  if (path.startsWith(`${own}/`)) return join(draft, path.slice(own.length + 1));
  if (path === 'archive' || path.startsWith('archive/')) return join(dataDirectory, path);
  throw new SoulBoxError('storage_damaged', `The parcel of checkpoint "${checkpointId}" has a file of something else.`);
}
