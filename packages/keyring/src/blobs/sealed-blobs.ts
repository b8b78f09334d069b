import { lstat, open, rm } from 'node:fs/promises';
import { constants } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import type { BlobInfo, BlobStore, BlobStream, ByteRange } from '@soulbox/storage';
import { openBlocks, readSealed, sealContent, streamOf } from './blob-content.ts';
import {
  blockBytes,
  contentBytes,
  headerBytes,
  isSealedHead,
  newHeader,
  placeOf,
  storedBlockBytes,
} from './blob-format.ts';
import type { BlobPlace, RootKey, SealedStore } from './blob-format.ts';
import { readHead } from './read-head.ts';

export interface SealedBlobsOptions {
  readonly store: SealedStore;
  readonly root: RootKey;
  /** Whether an older version may have stored blobs readable. Otherwise readable ones are refused. */
  readonly mayBeReadable: boolean;
}

/** What a reader in another process needs. */
export interface BlobKeys {
  /** The key of a name: it opens whatever is stored under this name, and nothing else. */
  keyOf(key: string): Uint8Array;
  readonly mayBeReadable: boolean;
}

export interface SealReadableOptions {
  readonly signal: AbortSignal;
  /** Waits for room for the encrypted copy of a blob. Throws `disk_full`. */
  readonly holdRoom: (bytes: number) => Promise<Disposable>;
}

/** Blobs that are encrypted before another store stores them. Sizes are those of the content. */
export interface SealedBlobs extends BlobStore, BlobKeys {
  /**
   * Encrypts what an older version stored readable, blob by blob. Each stays as it is until its encrypted form is
   * durable. Returns how many were encrypted, and why others are left. Throws only if `signal` is aborted.
   */
  sealReadable(options: SealReadableOptions): Promise<{ readonly sealed: number; readonly left: readonly unknown[] }>;
  /** From now on, readable blobs are refused. */
  refuseReadable(): void;
}

/** How often a reader may meet a blob that is being replaced. */
const attempts = 10;
/**
 * After so many failures, for example because the disk is full, the rest is left for the next time, which begins there.
 */
const failuresMax = 16;
/** Blobs whose heads are read at the same time. */
const openAtOnce = 32;

/** `blobs` belongs to the result. */
export function sealBlobs(blobs: BlobStore, { store, root, ...options }: SealedBlobsOptions): SealedBlobs {
  let { mayBeReadable } = options;
  /** Keys that a call writes or deletes at the moment, and how many calls. */
  const changing = new Map<string, number>();
  /** Readable blobs that are being encrypted. Who writes or deletes one waits, so that it is not undone. */
  const sealing = new Map<string, Promise<unknown>>();
  /** The key behind which the next pass of `sealReadable` begins, so that some that always fail do not stop the rest. */
  let passedKey = '';

  const change = async <T>(key: string, act: () => Promise<T>): Promise<T> => {
    for (let busy = sealing.get(key); busy !== undefined; busy = sealing.get(key)) await busy;
    changing.set(key, (changing.get(key) ?? 0) + 1);
    try {
      return await act();
    } finally {
      const left = (changing.get(key) ?? 0) - 1;
      if (left > 0) changing.set(key, left);
      else changing.delete(key);
    }
  };
  const place = (key: string): BlobPlace => placeOf(root, store, key);
  const describe = async ({ key, sizeBytes }: BlobInfo): Promise<BlobInfo> => {
    const isAsItIs = mayBeReadable && !isSealedHead(await readHead(blobs, key));
    return { key, sizeBytes: isAsItIs ? sizeBytes : contentBytes(sizeBytes) };
  };
  const put: BlobStore['put'] = async (key, content) => {
    const { sizeBytes } = await blobs.put(key, sealContent(place(key), newHeader(root), content));
    return { key, sizeBytes: contentBytes(sizeBytes) };
  };
  /** False if it is gone, or encrypted already. */
  const sealOne = async (key: string, { signal, holdRoom }: SealReadableOptions): Promise<boolean> => {
    if (isSealedHead(await readHead(blobs, key))) return false;
    const [found, stored] = [await blobs.stat(key), await blobs.read(key)];
    if (found === undefined || stored === undefined) return false;
    try {
      using _room = await holdRoom(found.sizeBytes);
      await put(key, whileThere(blobs, key, untilAborted(stored, signal)));
      return true;
    } catch (error) {
      if (error === gone) return false;
      throw error;
    } finally {
      stored.destroy();
    }
  };

  return {
    keyOf: (key) => place(key).placeKey,
    get mayBeReadable() {
      return mayBeReadable;
    },
    put: async (key, content) => await change(key, async () => await put(key, content)),
    putFile: async (key, path) =>
      await change(key, async () => {
        // Of an invalid key, nothing is read.
        await blobs.stat(key);
        if (!(await lstat(path)).isFile()) throw new SoulBoxError('bad_path', `${path} is not a regular file.`);
        const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
        const made = await put(key, file.createReadStream());
        await rm(path);
        return made;
      }),
    async read(key, range) {
      // Only a whole blob can be read while it may be replaced by its encrypted form.
      if (range === undefined) return await readSealed(blobs, { ...place(key), mayBeReadable });
      if (!mayBeReadable) return await readRange(blobs, place(key), range);
      const whole = await readSealed(blobs, { ...place(key), mayBeReadable });
      return whole === undefined ? undefined : streamOf(slice(whole, range.offset, range.length), whole);
    },
    async stat(key) {
      const found = await blobs.stat(key);
      return found === undefined ? undefined : await describe(found);
    },
    async list(prefix) {
      const found = await blobs.list(prefix);
      const described: BlobInfo[] = [];
      for (let at = 0; at < found.length; at += openAtOnce)
        described.push(...(await Promise.all(found.slice(at, at + openAtOnce).map(describe))));
      return described;
    },
    // Copies stay encrypted. Whoever has the root key opens them under the same names.
    copyInto: async (directory, prefix) => await blobs.copyInto(directory, prefix),
    delete: async (key) => await change(key, async () => await blobs.delete(key)),
    async sealReadable({ signal, holdRoom }) {
      let [sealed, failures] = [0, 0];
      const left: unknown[] = [];
      const keys = (await blobs.list('')).map(({ key }) => key);
      for (const key of [...keys.filter((one) => one > passedKey), ...keys.filter((one) => one <= passedKey)]) {
        signal.throwIfAborted();
        if (changing.has(key)) {
          left.push(new SoulBoxError('illegal_transition', `The blob ${key} is being written.`));
          continue;
        }
        const working = sealOne(key, { signal, holdRoom });
        sealing.set(
          key,
          working.catch(() => undefined),
        );
        try {
          if (await working) sealed++;
        } catch (error) {
          signal.throwIfAborted();
          left.push(error);
          failures++;
          passedKey = key;
        } finally {
          sealing.delete(key);
        }
        if (failures >= failuresMax) break;
      }
      return { sealed, left };
    },
    refuseReadable() {
      mayBeReadable = false;
    },
    [Symbol.asyncDispose]: async () => await blobs[Symbol.asyncDispose](),
  };
}

/**
 * Reads only the blocks of the range. Also beyond the end, the last block is checked, so that a blob that was cut is
 * not taken for a shorter one.
 */
async function readRange(
  blobs: BlobStore,
  place: BlobPlace,
  { offset, length }: ByteRange,
): Promise<BlobStream | undefined> {
  for (let attempt = 1; ; attempt++) {
    const found = await blobs.stat(place.key);
    const head = await readHead(blobs, place.key);
    if (found === undefined) return undefined;
    const last = Math.max(Math.ceil((found.sizeBytes - headerBytes) / storedBlockBytes) - 1, 0);
    const first = Math.min(Math.floor(offset / blockBytes), last);
    const end = Math.min(Math.floor((offset + Math.max(length, 1) - 1) / blockBytes), last);
    const stored = await blobs.read(place.key, {
      offset: headerBytes + first * storedBlockBytes,
      length: (end - first + 1) * storedBlockBytes,
    });
    if (stored === undefined) return undefined;
    const blocks = openBlocks(place, head, stored, { first, last });
    try {
      const begin = await blocks.next();
      const all = begun(begin.done === true ? Buffer.alloc(0) : begin.value, blocks);
      return streamOf(slice(all, offset - first * blockBytes, length), stored);
    } catch (error) {
      stored.destroy();
      // Between two of our steps, it may have been replaced.
      if (attempt === attempts) throw error;
    }
  }
}

async function* begun(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

async function* slice(content: AsyncIterable<Uint8Array>, offset: number, length: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of content) {
    const part = piece.subarray(Math.max(offset - at, 0), Math.max(offset + length - at, 0));
    at += piece.length;
    if (part.length > 0) yield part;
    if (at >= offset + length) return;
  }
}

/** A large blob does not delay the end of the process. */
async function* untilAborted(content: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    signal.throwIfAborted();
    yield piece;
  }
}

const gone = new Error('The blob was deleted.');

/** Throws `gone` at the end if the blob was deleted meanwhile by another process. */
async function* whileThere(
  blobs: BlobStore,
  key: string,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* content;
  if ((await blobs.stat(key)) === undefined) throw gone;
}
