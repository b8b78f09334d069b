import { randomBytes } from 'node:crypto';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { BlobStore } from '@soulbox/storage';
import { z } from 'zod';
import { cutContent } from './cut-content.ts';
import type { Parcels } from './parcels.ts';

const packedBlobSchema = z.object({
  store: z.string().max(50),
  key: z.string().max(1024),
  /** As stored: blobs are encrypted already. */
  sizeBytes: z.number().int().nonnegative(),
});
export type PackedBlob = z.infer<typeof packedBlobSchema>;
export const packedBlobsSchema = z.array(packedBlobSchema).max(5_000_000);
const aboutPackSchema = z.object({ format: z.literal(1), blobs: z.array(packedBlobSchema).max(5000) });

/** A local store of blobs whose keys name their contents: what has the same key and size is the same. */
export interface BlobSource {
  readonly store: string;
  readonly blobs: Pick<BlobStore, 'list' | 'read'>;
}

export interface PackLimits {
  /** A pack ends with the blob that reaches one of them. */
  readonly packBytes: number;
  readonly packBlobs: number;
  /** How long a blob that was deleted here may stay in a pack with others. */
  readonly deadMs: number;
}

const usualLimits: PackLimits = { packBytes: 64 * 1024 * 1024, packBlobs: 1000, deadMs: 24 * 3600_000 };

export interface BlobPacks {
  /**
   * Makes the packs equal to the sources, and returns what they contain. Blobs that are written meanwhile wait for the
   * next call. Throws the errors of the store; the next call continues.
   */
  sync(signal: AbortSignal): Promise<readonly PackedBlob[]>;
  /** Whether a deleted blob has been in a pack for longer than it may, so that `sync` is due without a change. */
  isDue(): boolean;
}

interface PackState {
  readonly blobs: readonly PackedBlob[];
  /** When a blob of it was first seen to be gone. Milliseconds of a clock that only grows. */
  deadSince: number | undefined;
}

/**
 * Keeps many blobs in few parcels: each change costs two objects, not two for each blob. A pack is replaced when a quarter
 * of its bytes belongs to deleted blobs, at the latest after `deadMs`. The names of packs are `KIND/ID`.
 */
export function createBlobPacks(
  parcels: Parcels,
  kind: string,
  { sources, limits = usualLimits }: { readonly sources: readonly BlobSource[]; readonly limits?: PackLimits },
): BlobPacks {
  let packs: Map<string, PackState> | undefined;
  const put = async (blobs: readonly PackedBlob[], all: Map<string, PackState>, signal: AbortSignal): Promise<void> => {
    const packed: PackedBlob[] = [];
    const name = `${kind}/${randomBytes(16).toString('hex')}`;
    // The list is complete when the content has been read, and only then it is written.
    await parcels.put(name, contentOf(blobs, sources, packed), { signal, about: { format: 1, blobs: packed } });
    all.set(name, { blobs: packed, deadSince: undefined });
  };
  return {
    isDue: () => [...(packs?.values() ?? [])].some((pack) => isOverdue(pack, limits)),
    async sync(signal) {
      packs ??= await readPacks(parcels, kind, signal);
      const wanted = await listAll(sources);
      const { old, found } = sortOut(packs, wanted, limits);
      const missing = [...wanted].filter(([id]) => !found.has(id)).map(([, blob]) => blob);
      for (const blobs of groups(missing, limits)) {
        signal.throwIfAborted();
        await put(blobs, packs, signal);
      }
      for (const name of old) {
        await parcels.remove(name, signal);
        packs.delete(name);
      }
      return [...packs.values()].flatMap(({ blobs }) => blobs).filter((blob) => wanted.has(idOf(blob)));
    },
  };
}

/**
 * Gives every blob of the packs to `take`, which reads its content before it returns, or nothing of it. A pack that is
 * damaged does not stop the others. Returns the messages of such packs.
 */
export async function eachPackedBlob(
  parcels: Parcels,
  kind: string,
  take: (blob: PackedBlob, content: AsyncGenerator<Buffer>) => Promise<void>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for await (const name of parcels.list(kind, signal)) {
    try {
      const parcel = await parcels.open(name, signal);
      if (parcel === undefined) continue;
      const content = parcel.content();
      const cutter = cutContent(content);
      try {
        for (const blob of blobsOf(parcel.about)) await take(blob, cutter.next(blob.sizeBytes));
      } finally {
        await content.return(undefined);
      }
    } catch (thrown) {
      const { reason, message } = errorFromUnknown(thrown);
      if (reason !== 'storage_damaged') throw thrown;
      faults.push(message);
    }
  }
  return faults;
}

/**
 * Writes the blobs of all packs as they are, except for those that are there already. What is damaged is left out: it is
 * for caches. Throws `disk_full`, and the errors of the store; the next call continues.
 */
export async function unpackBlobs(
  parcels: Parcels,
  kind: string,
  blobs: Pick<BlobStore, 'put' | 'stat'>,
  signal: AbortSignal,
): Promise<void> {
  const take = async ({ key, sizeBytes }: PackedBlob, content: AsyncGenerator<Buffer>): Promise<void> => {
    if ((await blobs.stat(key))?.sizeBytes !== sizeBytes) await blobs.put(key, content);
  };
  await eachPackedBlob(parcels, kind, take, signal);
}

const idOf = ({ store, key, sizeBytes }: PackedBlob): string => `${store}\0${key}\0${sizeBytes}`;

async function listAll(sources: readonly BlobSource[]): Promise<Map<string, PackedBlob>> {
  const wanted = new Map<string, PackedBlob>();
  for (const { store, blobs } of sources)
    for (const { key, sizeBytes } of await blobs.list('')) {
      const blob = { store, key, sizeBytes };
      wanted.set(idOf(blob), blob);
    }
  return wanted;
}

/** One that cannot be read has nothing, so it is replaced. */
async function readPacks(parcels: Parcels, kind: string, signal: AbortSignal): Promise<Map<string, PackState>> {
  const packs = new Map<string, PackState>();
  for await (const name of parcels.list(kind, signal)) {
    try {
      const parcel = await parcels.open(name, signal);
      if (parcel === undefined) continue;
      packs.set(name, { blobs: blobsOf(parcel.about), deadSince: undefined });
    } catch (thrown) {
      if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'storage_damaged') throw thrown;
      packs.set(name, { blobs: [], deadSince: undefined });
    }
  }
  return packs;
}

/** What is in packs that stay, and the names of those that are replaced. */
function sortOut(
  packs: ReadonlyMap<string, PackState>,
  wanted: ReadonlyMap<string, PackedBlob>,
  limits: PackLimits,
): { readonly old: readonly string[]; readonly found: ReadonlySet<string> } {
  const found = new Set<string>();
  const old: string[] = [];
  for (const [name, pack] of packs) {
    // A crash between a new pack and the removal of the old one leaves blobs twice.
    const live = pack.blobs.filter((blob) => wanted.has(idOf(blob)) && !found.has(idOf(blob)));
    const isWhole = live.length === pack.blobs.length;
    pack.deadSince = isWhole ? undefined : (pack.deadSince ?? performance.now());
    if (live.length === 0 || isOverdue(pack, limits) || bytesOf(live) < bytesOf(pack.blobs) * 0.75) old.push(name);
    else for (const blob of live) found.add(idOf(blob));
  }
  return { old, found };
}

const isOverdue = ({ deadSince }: PackState, { deadMs }: PackLimits): boolean =>
  deadSince !== undefined && performance.now() - deadSince >= deadMs;

/** It is authenticated: a form that is unknown is of a newer version. Throws `state_incompatible`. */
function blobsOf(about: unknown): readonly PackedBlob[] {
  const parsed = aboutPackSchema.safeParse(about);
  if (parsed.success) return parsed.data.blobs;
  throw new SoulBoxError('state_incompatible', 'A pack in the object store is of a newer version of SoulBox.');
}

const bytesOf = (blobs: readonly PackedBlob[]): number => blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function* groups(blobs: readonly PackedBlob[], { packBytes, packBlobs }: PackLimits): Generator<readonly PackedBlob[]> {
  let group: PackedBlob[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    group.push(blob);
    bytes += blob.sizeBytes;
    if (bytes < packBytes && group.length < packBlobs) continue;
    yield group;
    [group, bytes] = [[], 0];
  }
  if (group.length > 0) yield group;
}

/** Blobs that are deleted meanwhile are left out. Adds what it has read to `packed`, with the size that was read. */
async function* contentOf(
  blobs: readonly PackedBlob[],
  sources: readonly BlobSource[],
  packed: PackedBlob[],
): AsyncGenerator<Uint8Array> {
  for (const { store, key } of blobs) {
    const content = await sources.find((source) => source.store === store)?.blobs.read(key);
    if (content === undefined) continue;
    let sizeBytes = 0;
    try {
      for await (const piece of content) {
        sizeBytes += piece.length;
        yield piece;
      }
    } finally {
      content.destroy();
    }
    packed.push({ store, key, sizeBytes });
  }
}
