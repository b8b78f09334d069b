import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { errorFromNode } from '@soulbox/base';
import type { Logger, SoulBoxError } from '@soulbox/base';
import type { ArrivalFile } from '@soulbox/isolation';
import type { FlatFile } from '@soulbox/vault/flat';
import { isAway } from './patience.ts';

export interface ArrivalOptions {
  /** Says what is there and what is waited for. */
  readonly file: ArrivalFile;
  readonly filePath: string;
  readonly chunkBytes: number;
  /** Of the whole content, those of the small files included. */
  readonly chunkCount: number;
  readonly large: readonly FlatFile[];
  readonly pathOf: (path: string) => string;
  /** `into`: where the chunk may be put, with room for what seals it. */
  readonly readChunk: (at: number, signal: AbortSignal, into: Buffer) => Promise<Buffer>;
  readonly onBytes: (bytes: number) => void;
  readonly logger: Logger;
  readonly limits: ArrivalLimits;
  readonly signal: AbortSignal;
}

export interface ArrivalLimits {
  /** Chunks that somebody waits for, fetched at once. */
  readonly neededAtOnce: number;
  /** Others, if somebody waits for all of them, and if not. */
  readonly wholeAtOnce: number;
  readonly behindAtOnce: number;
  /** The same as `behindAtOnce` during a restore. */
  readonly heldAtOnce: number;
  /** How long to wait before a chunk is asked for again while the store is away. Doubled up to the second one. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
}

export const usualArrivalLimits: ArrivalLimits = {
  ...{ neededAtOnce: 8, wholeAtOnce: 8, behindAtOnce: 2, heldAtOnce: 1, pauseMs: 100, pauseMaxMs: 5000 },
};

/** Memory that is being fetched into files of their final size. */
export interface Arrival {
  /**
   * Resolves when everything is there and written out. Rejects when a chunk is damaged, and when the signal aborts. While
   * the store is away or the disk is full, it waits.
   */
  readonly whole: Promise<void>;
  /** Somebody waits for all of it, so it is fetched as fast as possible, until disposed. */
  hurry(): Disposable;
  /** Fetches these chunks as if somebody waited for them, in this order. */
  expect(chunks: readonly number[]): void;
  /** Chunks that somebody has waited for, in that order, the first 256. */
  asked(): readonly number[];
  /** Fetches less of what nobody waits for, until disposed: it costs CPU time that a restore in progress needs. */
  hold(): Disposable;
  /** Milliseconds since a chunk arrived, or since the start. */
  silentMs(): number;
  /** Of the last call, if it has failed. */
  failure(): SoulBoxError | undefined;
}

/** What an object has besides the chunk. */
const sealMaxBytes = 1024;
const askedMax = 256;
/** How often to look for wanted chunks besides the kernel's notices of changes. Milliseconds. */
const lookMs = 50;

/** Without it (the user has too many watches) the timer finds changes a little later. */
function watchFile(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(path, { persistent: false }, onChange).on('error', () => undefined);
  } catch {
    return undefined;
  }
}

/**
 * Fetches the chunks of large files: those that somebody waits for at once, the others one after the other, beginning
 * behind the last one that was waited for, because its neighbors are likely to be next.
 */
export function startArrival(options: ArrivalOptions): Arrival {
  const { file, chunkBytes, chunkCount, large, limits, signal } = options;
  const fileOf = new Map<number, FlatFile>();
  for (const one of large)
    for (let at = one.at / chunkBytes; at * chunkBytes < one.at + one.sizeBytes; at++) fileOf.set(at, one);
  const missing = new Set([...fileOf.keys()].filter((at) => file.arrivalOf(at) === 'missing'));
  const underway = new Set<number>();
  const needed = new Set<number>();
  const handles = new Map<string, Promise<FileHandle>>();
  /** Used again for other chunks: the collection of so large buffers would take longer than their transfer. */
  const places: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  promise.catch(() => undefined);
  let [hurried, held] = [0, 0];
  const expected: number[] = [];
  const asked: number[] = [];
  let next = Math.min(...missing);
  let [arrivedAt, pauseUntil, pauseMs] = [performance.now(), 0, limits.pauseMs];
  let failure: SoulBoxError | undefined;
  let fatal: unknown;

  const handleOf = async (path: string): Promise<FileHandle> => {
    const handle = handles.get(path) ?? open(options.pathOf(path), 'r+');
    handles.set(path, handle);
    return await handle;
  };
  const store = async (at: number, place: Buffer): Promise<void> => {
    const bytes = await options.readChunk(at, signal, place);
    const target = fileOf.get(at);
    if (target === undefined) throw new Error(`chunk ${at} is of no file`);
    const position = at * chunkBytes - target.at;
    const length = Math.min(chunkBytes, target.sizeBytes - position);
    const handle = await handleOf(target.path);
    // On a disk that becomes full, the first part is written without an error.
    for (let done = 0; done < length;)
      done += (await handle.write(bytes, done, length - done, position + done)).bytesWritten;
    file.note(at, 'there');
    options.onBytes(length);
    missing.delete(at);
    needed.delete(at);
    [arrivedAt, pauseMs, failure] = [performance.now(), limits.pauseMs, undefined];
  };
  const fetch = async (at: number): Promise<void> => {
    underway.add(at);
    const place = places.pop() ?? Buffer.allocUnsafeSlow(chunkBytes + sealMaxBytes);
    try {
      await store(at, place);
    } catch (thrown) {
      if (signal.aborted) return;
      failure = errorFromNode(thrown, 'What the object store has could not be written to the disk of the host.');
      if (failure.reason === 'storage_damaged') {
        options.logger.error({ err: thrown, chunk: at }, 'a part of saved memory is damaged in the object store');
        // Whoever needs it must not wait forever.
        file.note(at, 'damaged');
        fatal ??= failure;
        return;
      }
      if (!isAway(thrown))
        options.logger.warn({ err: thrown, chunk: at }, 'a part of saved memory could not be fetched');
      pauseUntil = performance.now() + pauseMs;
      pauseMs = Math.min(limits.pauseMaxMs, pauseMs * 2);
    } finally {
      underway.delete(at);
      places.push(place);
    }
  };
  const choose = (): number | undefined => {
    for (const at of needed) if (!underway.has(at)) return underway.size < limits.neededAtOnce ? at : undefined;
    while (expected.length > 0 && underway.size < limits.neededAtOnce) {
      const at = expected.shift();
      if (at !== undefined && missing.has(at) && !underway.has(at)) return at;
    }
    const behind = held > 0 ? limits.heldAtOnce : limits.behindAtOnce;
    const atOnce = hurried > 0 ? limits.wholeAtOnce : behind;
    if (underway.size >= atOnce || fatal !== undefined) return undefined;
    for (let count = 0; count < chunkCount; count++) {
      if (next >= chunkCount || !Number.isFinite(next)) next = 0;
      const at = next++;
      if (missing.has(at) && !underway.has(at)) return at;
    }
    return undefined;
  };
  const look = (): void => {
    for (const at of file.wanted()) {
      if (!missing.has(at) || needed.has(at)) continue;
      needed.add(at);
      if (asked.length < askedMax) asked.push(at);
      next = at + 1;
    }
  };
  const end = async (): Promise<void> => {
    try {
      if (!signal.aborted && fatal === undefined)
        for (const handle of handles.values()) await (await handle).datasync();
    } finally {
      for (const handle of handles.values()) await (await handle.catch(() => undefined))?.close();
      file.close();
    }
  };

  let isOver = false;
  const pump = (): void => {
    if (isOver) return;
    look();
    const isIdle = underway.size === 0;
    if (isIdle && (missing.size === 0 || signal.aborted || fatal !== undefined)) {
      isOver = true;
      clearInterval(timer);
      watcher?.close();
      end().then(
        () => (signal.aborted || fatal !== undefined ? reject(fatal ?? signal.reason) : resolve(undefined)),
        reject,
      );
      return;
    }
    if (signal.aborted || performance.now() < pauseUntil) return;
    for (let at = choose(); at !== undefined; at = choose()) void fetch(at).then(pump);
  };
  const watcher = watchFile(options.filePath, pump);
  const timer = setInterval(pump, lookMs);
  signal.addEventListener('abort', pump, { once: true });
  pump();

  return {
    whole: promise,
    hurry() {
      hurried += 1;
      pump();
      return { [Symbol.dispose]: () => void (hurried -= 1) };
    },
    expect(chunks) {
      if (expected.length === 0) expected.push(...chunks);
      pump();
    },
    asked: () => [...asked],
    hold() {
      held += 1;
      return {
        [Symbol.dispose]() {
          held -= 1;
          pump();
        },
      };
    },
    silentMs: () => performance.now() - arrivedAt,
    failure: () => failure,
  };
}
