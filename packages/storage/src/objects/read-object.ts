import { createHash } from 'node:crypto';
import { nextDelay, wait } from '@soulbox/client';
import type { BlobStream } from '../blobs/blobs.ts';
import { attempt } from './attempts.ts';
import type { GetOptions, ObjectInfo, OpenObject } from './object-store.ts';
import { paced } from './paced.ts';
import type { OpenedObject, StoreDriver } from './store-driver.ts';
import { StoreFault, errorFromFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

interface Read {
  readonly driver: StoreDriver;
  readonly limits: StoreLimits;
  /** With the prefix. */
  readonly key: string;
  readonly options: GetOptions;
}

/** Throws a StoreFault or the reason of the signal. The key of the result contains the prefix. */
export async function readObject(read: Read): Promise<OpenObject> {
  const { driver, limits, key, options } = read;
  const { range, version, signal } = options;
  const isEmpty = range !== undefined && range.length === 0;
  const opened = isEmpty
    ? 'nothing'
    : await attempt(limits, { signal }, async (limited) => {
        try {
          return await driver.open(key, { range, version }, limited);
        } catch (thrown) {
          if (thrown instanceof StoreFault && thrown.reason === 'range') return 'nothing';
          throw thrown;
        }
      });
  if (opened === 'nothing') return { info: await getInfo(read), body: streamOf(nothing(), () => undefined) };
  const { info } = opened;
  const start = range?.offset ?? 0;
  const end = Math.min(info.sizeBytes, start + (range?.length ?? Infinity));
  const transfer = { current: opened as OpenedObject | undefined };
  const bytes = readToEnd(read, { info, start, end, transfer });
  return { info, body: streamOf(bytes, () => transfer.current?.close()) };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A range behind the end has no bytes.
}

async function getInfo({ driver, limits, key, options: { signal, version } }: Read): Promise<ObjectInfo> {
  const info = await attempt(limits, { signal }, (limited) => driver.stat(key, limited));
  if (info === undefined) throw new StoreFault('storage_not_found', 'There is no such object.');
  if (version !== undefined && version !== info.version) throw changed();
  return info;
}

function changed(): StoreFault {
  return new StoreFault('storage_precondition_failed', 'The object has another version.');
}

function streamOf(bytes: AsyncGenerator<Uint8Array>, close: () => void): BlobStream {
  return {
    [Symbol.asyncIterator]: () => bytes,
    destroy() {
      close();
      void bytes.return(undefined).catch(() => undefined);
    },
  };
}

interface Extent {
  readonly info: ObjectInfo;
  readonly start: number;
  readonly end: number;
  readonly transfer: { current: OpenedObject | undefined };
}

async function* readToEnd(read: Read, extent: Extent): AsyncGenerator<Uint8Array> {
  const { options } = read;
  try {
    if (options.sha256 === undefined) yield* readParts(read, extent);
    else yield* digested(readParts(read, extent), options.sha256);
  } catch (thrown) {
    options.signal?.throwIfAborted();
    throw errorFromFault(thrown);
  } finally {
    extent.transfer.current?.close();
  }
}

/** The last chunk is held back until the digest is known. */
async function* digested(chunks: AsyncGenerator<Uint8Array>, sha256: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let held: Uint8Array | undefined;
  for await (const chunk of chunks) {
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (hash.digest('hex') !== sha256)
    throw new StoreFault('storage_damaged', 'The object does not have the expected SHA-256 digest.');
  if (held !== undefined) yield held;
}

/** After so many bytes, earlier faults are forgotten. */
const progressBytes = 8 * 1024 * 1024;

/** Opens the object again, at the same version, where a transfer broke. */
async function* readParts(read: Read, { info, start, end, transfer }: Extent): AsyncGenerator<Uint8Array> {
  const { driver, limits, key, options } = read;
  let position = start;
  let faults = 0;
  let waitedMs = 0;
  let progress = 0;
  while (position < end) {
    const before = position;
    try {
      const range = { offset: position, length: end - position };
      transfer.current ??= await attempt(limits, { signal: options.signal }, (signal) =>
        driver.open(key, { range, version: info.version }, signal),
      );
      for await (const chunk of paced(transfer.current.body, limits, {
        signal: options.signal,
        onWait: (ms) => (waitedMs += ms),
      })) {
        position += chunk.length;
        if (position > end) throw new StoreFault('storage_damaged', 'The store sends more bytes than the object has.');
        progress += chunk.length;
        if (progress >= progressBytes) progress = faults = waitedMs = 0;
        yield chunk;
      }
      if (position >= end) return;
      // Not even a part of what it announced.
      const isLie = faults > 0 && position === before;
      throw new StoreFault(isLie ? 'storage_damaged' : 'storage_unavailable', missing(position, end));
    } catch (thrown) {
      options.signal?.throwIfAborted();
      transfer.current?.close();
      transfer.current = undefined;
      if (!(thrown instanceof StoreFault) || !thrown.isTransient) throw thrown;
      faults += 1;
      const delayMs = nextDelay(limits.retries, { attempt: faults, elapsedMs: waitedMs });
      if (delayMs === undefined) throw thrown;
      await wait(delayMs, options.signal);
    }
  }
}

function missing(position: number, end: number): string {
  return `The store ended its response ${end - position} bytes early.`;
}
