import { randomBytes } from 'node:crypto';
import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { chunksOf } from './chunks.ts';
import type { SealedObjects } from './sealed-objects.ts';
import { keyOfParcel } from './storage-key.ts';

/** Of the content in an object. */
export const chunkBytes = 8 * 1024 * 1024;
/** Chunks of a parcel that are transferred at once, besides the one that is filled. */
const atOnce = 2;
/** 8 TiB. */
const maxChunks = 1_000_000;
const indexMaxBytes = 1024 * 1024;

const nameForm = /^[a-z]{1,20}\/[A-Za-z0-9._-]{1,160}$/;

const indexSchema = z.object({
  format: z.literal(1),
  uploadId: z.string().regex(/^[0-9a-f]{32}$/),
  sizeBytes: z
    .number()
    .int()
    .nonnegative()
    .max(maxChunks * chunkBytes),
  createdAtMs: z.number().int(),
  about: z.unknown().optional(),
});

/** How long a chunk that the store did not take is offered again. Otherwise a whole upload would begin again. */
export interface ParcelPatience {
  readonly pauseMs: number;
  readonly totalMs: number;
}

const usualPatience: ParcelPatience = { pauseMs: 5000, totalMs: 600_000 };

export interface OpenParcel {
  readonly sizeBytes: number;
  /** What its writer has said about it. Authenticated. */
  readonly about: unknown;
  /** Can be read once. Throws `storage_damaged` for a chunk that is missing, changed, cut or another one. */
  content(): AsyncGenerator<Buffer>;
}

export interface ParcelOptions {
  readonly signal: AbortSignal;
  /** JSON. */
  readonly about?: unknown;
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
      return {
        sizeBytes: index.sizeBytes,
        about: index.about,
        content: () => readChunks(objects, { key: keyOfParcel(key, index.uploadId), name, ...index }, signal),
      };
    },
    async remove(name, signal) {
      await objects.delete(indexOf(checked(name)), signal);
      for await (const chunk of objects.list(`data/${name}/`, signal)) await objects.delete(chunk.key, signal);
    },
    async removeOrphans(beforeMs, signal) {
      const complete = new Set<string>();
      for await (const name of list(undefined, signal)) complete.add(name);
      let count = 0;
      let current: { readonly name: string; readonly uploadId: string | undefined } | undefined;
      for await (const { key: listed, modifiedAtMs } of objects.list('data/', signal)) {
        const [name, uploadId] = partsOfChunk(listed);
        if (name === undefined || modifiedAtMs >= beforeMs) continue;
        if (current?.name !== name)
          current = { name, uploadId: complete.has(name) ? await uploadOf(objects, key, name, signal) : undefined };
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

const indexOf = (name: string): string => `index/${name}`;
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

type Index = z.infer<typeof indexSchema>;

async function readIndex(
  objects: SealedObjects,
  key: Uint8Array,
  name: string,
  signal: AbortSignal,
): Promise<Index | undefined> {
  const found = await objects.get(indexOf(name), { key, signal });
  if (found === undefined) return undefined;
  // It is authenticated: a form that is unknown is of a newer version.
  const parsed = indexSchema.safeParse(JSON.parse(found.plain.toString()));
  if (parsed.success) return parsed.data;
  throw new SoulBoxError('state_incompatible', `The parcel ${name} in the store is of a newer version of SoulBox.`);
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
  { content, patience, signal, about, check }: ParcelOptions & Upload,
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
      if (sending.size >= atOnce) await Promise.race(sending);
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
  const index = { format: 1, uploadId, sizeBytes, createdAtMs: Date.now(), about } satisfies Index;
  const text = Buffer.from(JSON.stringify(index));
  if (text.length > indexMaxBytes) throw new SoulBoxError('limit_exceeded', `The parcel ${name} has too many parts.`);
  try {
    await objects.put(indexOf(name), text, { key, signal, condition: 'absent' });
  } catch (error) {
    // Another upload of the same content has completed before, perhaps one whose answer was lost.
    const isThere = error instanceof SoulBoxError && error.reason === 'storage_precondition_failed';
    if (!isThere || (await readIndex(objects, key, name, signal)) === undefined) throw error;
  }
  return sizeBytes;
}

interface Extent {
  readonly key: Uint8Array;
  readonly name: string;
  readonly uploadId: string;
  readonly sizeBytes: number;
}

async function* readChunks(
  objects: SealedObjects,
  { key, name, uploadId, sizeBytes }: Extent,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const count = Math.ceil(sizeBytes / chunkBytes);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const read = async (at: number): Promise<Buffer> => {
    const found = await objects.get(chunkOf(name, uploadId, at), { key, signal: either });
    const expected = at === count - 1 ? sizeBytes - at * chunkBytes : chunkBytes;
    if (found?.plain.length === expected) return found.plain;
    const what = found === undefined ? 'is missing' : 'has another length';
    throw new SoulBoxError('storage_damaged', `Chunk ${at} of ${name} in the store ${what}.`);
  };
  const reading: Promise<Buffer>[] = [];
  const begin = (at: number): void => {
    const chunk = read(at);
    // Its error is thrown when its turn comes.
    chunk.catch(() => undefined);
    reading.push(chunk);
  };
  try {
    for (let at = 0; at < count; at++) {
      while (reading.length < atOnce && at + reading.length < count) begin(at + reading.length);
      const chunk = reading.shift();
      if (chunk === undefined) throw new Error('no chunk is being read');
      yield await chunk;
    }
  } finally {
    ended.abort(new Error('The parcel is not read further.'));
  }
}
