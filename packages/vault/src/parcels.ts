import { randomBytes } from 'node:crypto';
import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import { chunksOf } from './chunks.ts';
import { indexOf, indexText, maxChunks, readIndex, usualChunkBytes } from './parcel-index.ts';
import type { ParcelIndex } from './parcel-index.ts';
import type { SealedObjects } from './sealed-objects.ts';
import { keyOfParcel } from './storage-key.ts';

/** Chunks of a parcel that are transferred at once, besides the one that is filled: of the usual size, and smaller. */
const atOnce = 2;
const smallAtOnce = 8;

const nameForm = /^[a-z]{1,20}\/[A-Za-z0-9._-]{1,160}$/;

/** How long a chunk that the store did not take is offered again. Otherwise a whole upload would begin again. */
export interface ParcelPatience {
  readonly pauseMs: number;
  readonly totalMs: number;
}

const usualPatience: ParcelPatience = { pauseMs: 5000, totalMs: 600_000 };

export interface OpenParcel {
  readonly sizeBytes: number;
  /** Of all chunks but the last one, which may be shorter. */
  readonly chunkBytes: number;
  /** What its writer has said about it. Authenticated. */
  readonly about: unknown;
  /**
   * One chunk, by its number from 0. `into`: a buffer with room for a chunk and what seals it, in which the result then is.
   * Throws like `content`.
   */
  chunk(at: number, signal: AbortSignal, into?: Buffer): Promise<Buffer>;
  /** Can be read once. Throws `storage_damaged` for a chunk that is missing, changed, cut or another one. */
  content(): AsyncGenerator<Buffer, void, void>;
}

export interface ParcelOptions {
  readonly signal: AbortSignal;
  /** JSON. */
  readonly about?: unknown;
  /** Of the content in an object: from 64 KiB to 8 MiB (the default). Smaller chunks can be fetched one by one. */
  readonly chunkBytes?: number;
  /** Called before the parcel appears. It does not appear if this throws. */
  readonly check?: () => Promise<void>;
}

/**
 * Immutable contents of any size, each a sequence of encrypted chunks and an index that is written last: without its
 * index a parcel does not exist. Names have the form `KIND/ID`.
 */
export interface Parcels {
  /** Returns the bytes of the content. A parcel that exists already stays as it is. */
  put(name: string, content: AsyncIterable<Uint8Array>, options: ParcelOptions): Promise<number>;
  /** Undefined: there is none. Throws `storage_damaged`. */
  open(name: string, signal: AbortSignal): Promise<OpenParcel | undefined>;
  has(name: string, signal: AbortSignal): Promise<boolean>;
  /** Names of all complete parcels, of one kind or of all. */
  list(kind: string | undefined, signal: AbortSignal): AsyncGenerator<string>;
  /** The index first. What is left after an error is an orphan. */
  remove(name: string, signal: AbortSignal): Promise<void>;
  /** Removes chunks without an index that are older than `beforeMs`. Returns their number. */
  removeOrphans(beforeMs: number, signal: AbortSignal): Promise<number>;
}

export function createParcels(
  objects: SealedObjects,
  key: Uint8Array,
  patience: ParcelPatience = usualPatience,
): Parcels {
  const has = async (name: string, signal: AbortSignal): Promise<boolean> =>
    (await readIndex(objects, key, name, signal)) !== undefined;
  async function* list(kind: string | undefined, signal: AbortSignal): AsyncGenerator<string> {
    for await (const { key: listed } of objects.list(kind === undefined ? 'index/' : `index/${kind}/`, signal)) {
      const name = listed.slice('index/'.length);
      if (nameForm.test(name)) yield name;
    }
  }
  return {
    has,
    list,
    put: async (name, content, options) =>
      await putParcel(objects, key, checked(name), { content, patience, ...options }),
    async open(name, signal) {
      const index = await readIndex(objects, key, checked(name), signal);
      if (index === undefined) return undefined;
      const extent = { key: keyOfParcel(key, index.uploadId), name, ...index };
      return {
        sizeBytes: index.sizeBytes,
        chunkBytes: index.chunkBytes,
        about: index.about,
        chunk: async (at, own, into) => await readChunk(objects, extent, at, { signal: own, into }),
        content: () => readChunks(objects, extent, signal),
      };
    },
    async remove(name, signal) {
      await objects.delete(indexOf(checked(name)), signal);
      for await (const chunk of objects.list(`data/${name}/`, signal)) await objects.delete(chunk.key, signal);
    },
    async removeOrphans(beforeMs, signal) {
      // Chunks of a parcel are listed together, so its index is asked for once, and nothing is remembered of the others.
      let count = 0;
      let current: { readonly name: string; readonly uploadId: string | undefined } | undefined;
      for await (const { key: listed, modifiedAtMs } of objects.list('data/', signal)) {
        const [name, uploadId] = partsOfChunk(listed);
        if (name === undefined || modifiedAtMs >= beforeMs) continue;
        if (current?.name !== name) current = { name, uploadId: await uploadOf(objects, key, name, signal) };
        if (current.uploadId === 'unreadable' || current.uploadId === uploadId) continue;
        await objects.delete(listed, signal);
        count += 1;
      }
      return count;
    },
  };
}

function checked(name: string): string {
  if (nameForm.test(name)) return name;
  throw new SoulBoxError('bad_request', `${JSON.stringify(name.slice(0, 200))} is not the name of a parcel.`);
}

const chunkOf = (name: string, uploadId: string, at: number): string =>
  `data/${name}/${uploadId}/${String(at).padStart(6, '0')}`;

function partsOfChunk(key: string): readonly [string | undefined, string | undefined] {
  const [, name, uploadId] = /^data\/([^/]+\/[^/]+)\/([0-9a-f]{32})\/\d{6}$/.exec(key) ?? [];
  return [name, uploadId];
}

/** What cannot be read is kept. */
async function uploadOf(
  objects: SealedObjects,
  key: Uint8Array,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await readIndex(objects, key, name, signal))?.uploadId;
  } catch (error) {
    if (error instanceof SoulBoxError && /^(?:storage_damaged|state_incompatible)$/.test(error.reason))
      return 'unreadable';
    throw error;
  }
}

interface Upload {
  readonly content: AsyncIterable<Uint8Array>;
  readonly patience: ParcelPatience;
}

/** Offers it again while the store is away. Throws what the last offer has thrown. */
async function offer(
  put: () => Promise<void>,
  { pauseMs, totalMs }: ParcelPatience,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + totalMs;
  for (;;) {
    try {
      await put();
      return;
    } catch (error) {
      const isAway = error instanceof SoulBoxError && /^storage_(?:unavailable|throttled)$/.test(error.reason);
      if (!isAway || performance.now() >= giveUpAt) throw error;
      await sleepUnlessAborted(pauseMs, signal);
    }
  }
}

async function putParcel(
  objects: SealedObjects,
  key: Uint8Array,
  name: string,
  { content, patience, signal, about, check, chunkBytes = usualChunkBytes }: ParcelOptions & Upload,
): Promise<number> {
  const uploadId = randomBytes(16).toString('hex');
  const parcelKey = keyOfParcel(key, uploadId);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const sending = new Set<Promise<void>>();
  let sizeBytes = 0;
  let count = 0;
  try {
    for await (const chunk of chunksOf(content, chunkBytes)) {
      either.throwIfAborted();
      if (count >= maxChunks) throw new SoulBoxError('limit_exceeded', 'A parcel has at most 8 TiB.');
      const target = chunkOf(name, uploadId, count++);
      sizeBytes += chunk.length;
      const put = async (): Promise<void> => await objects.put(target, chunk, { key: parcelKey, signal: either });
      const task = offer(put, patience, either).finally(() => sending.delete(task));
      task.catch((thrown: unknown) => ended.abort(thrown));
      sending.add(task);
      if (sending.size >= atOnceOf(chunkBytes)) await Promise.race(sending);
    }
    await Promise.all(sending);
    await check?.();
    either.throwIfAborted();
  } catch (error) {
    ended.abort(error);
    throw error;
  } finally {
    await Promise.allSettled(sending);
  }
  const text = indexText(name, { uploadId, sizeBytes, chunkBytes, about });
  try {
    await objects.put(indexOf(name), text, { key, signal, condition: 'absent' });
  } catch (error) {
    // Another upload of the same content has completed before, perhaps one whose answer was lost.
    const isThere = error instanceof SoulBoxError && error.reason === 'storage_precondition_failed';
    if (!isThere || (await readIndex(objects, key, name, signal)) === undefined) throw error;
  }
  return sizeBytes;
}

function atOnceOf(chunkBytes: number): number {
  return chunkBytes < usualChunkBytes ? smallAtOnce : atOnce;
}

interface Extent extends ParcelIndex {
  readonly key: Uint8Array;
  readonly name: string;
}

async function readChunk(
  objects: SealedObjects,
  { key, name, uploadId, sizeBytes, chunkBytes }: Extent,
  at: number,
  options: { readonly signal: AbortSignal; readonly into?: Buffer | undefined },
): Promise<Buffer> {
  const found = await objects.get(chunkOf(name, uploadId, at), { key, ...options });
  const expected = Math.min(chunkBytes, sizeBytes - at * chunkBytes);
  if (found?.plain.length === expected) return found.plain;
  const what = found === undefined ? 'is missing' : 'has another length';
  throw new SoulBoxError('storage_damaged', `Chunk ${at} of ${name} in the store ${what}.`);
}

async function* readChunks(
  objects: SealedObjects,
  extent: Extent,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, void> {
  const count = Math.ceil(extent.sizeBytes / extent.chunkBytes);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const reading: Promise<Buffer>[] = [];
  const begin = (at: number): void => {
    const chunk = readChunk(objects, extent, at, { signal: either });
    // Its error is thrown when its turn comes.
    chunk.catch(() => undefined);
    reading.push(chunk);
  };
  try {
    for (let at = 0; at < count; at++) {
      while (reading.length < atOnceOf(extent.chunkBytes) && at + reading.length < count) begin(at + reading.length);
      const chunk = reading.shift();
      if (chunk === undefined) throw new Error('no chunk is being read');
      yield await chunk;
    }
  } finally {
    ended.abort(new Error('The parcel is not read further.'));
  }
}
