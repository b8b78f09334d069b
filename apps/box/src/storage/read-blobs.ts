import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { openDiskBlobs } from '@soulbox/storage';
import type { BlobStore } from '@soulbox/storage';
import { eachPackedBlob, packedBlobsSchema, unpackBlobs } from '@soulbox/vault';
import type { PackedBlob, Parcels } from '@soulbox/vault';
import { blobListName, blobsKind, dependenciesKind } from '@soulbox/vault/stored';
import type { Lost } from './find-lost.ts';

/** The folders of the control plane's stores in a data folder. */
const stores = ['uploads', 'functions'] as const;

/**
 * Writes the uploads for builds, the bundles and the values of functions that the recovered records name, and returns what
 * is lost of each store. They are still encrypted. A server that uploaded none has none.
 */
export async function readBlobs(parcels: Parcels, dataDirectory: string, signal: AbortSignal): Promise<Lost[]> {
  const wanted = new Map((await readList(dataDirectory)).map((blob) => [idOf(blob), blob]));
  if (wanted.size === 0) return [];
  const total = count(wanted.values());
  const opened = new Map<string, BlobStore>();
  for (const store of stores)
    if (total.has(store)) opened.set(store, await openDiskBlobs({ directory: join(dataDirectory, store) }));
  const take = async (blob: PackedBlob, content: AsyncGenerator<Buffer>): Promise<void> => {
    const target = wanted.has(idOf(blob)) ? opened.get(blob.store) : undefined;
    if (target === undefined) return;
    await target.put(blob.key, content);
    wanted.delete(idOf(blob));
  };
  const faults = await eachPackedBlob(parcels, blobsKind, take, signal);
  return [...count(wanted.values())].map(([store, lost]) => ({
    what: 'blobs',
    id: store,
    reason: `${lost} of ${total.get(store) ?? lost} are missing. ${faults[0] ?? 'They are not in the store any more.'}`,
  }));
}

/** Writes cached dependencies. What is damaged is left out: it is a cache. */
export async function readDependencies(parcels: Parcels, dataDirectory: string, signal: AbortSignal): Promise<void> {
  const blobs = await openDiskBlobs({ directory: join(dataDirectory, 'dependencies') });
  await unpackBlobs(parcels, dependenciesKind, blobs, signal);
}

const idOf = ({ store, key, sizeBytes }: PackedBlob): string => `${store}\0${key}\0${sizeBytes}`;

/** The file belongs to the store, not to the data folder. */
async function readList(dataDirectory: string): Promise<readonly PackedBlob[]> {
  const path = join(dataDirectory, blobListName);
  const text = await readFile(path, 'utf8').catch(() => '[]');
  await removeTree(path);
  const parsed = packedBlobsSchema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new SoulBoxError('state_incompatible', 'The list of blobs in the store is of a newer version of SoulBox.');
}

function count(blobs: Iterable<PackedBlob>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { store } of blobs) counts.set(store, (counts.get(store) ?? 0) + 1);
  return counts;
}
