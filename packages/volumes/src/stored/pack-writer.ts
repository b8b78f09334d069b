import type { Awaitable } from '@soulbox/fuse';
import type { PackPlace } from '../blocks/block-names.ts';
import { closePack, newRun, packMaxBytes, packOfRun, tableBytes } from './packs.ts';
import type { Packs, PackUnit } from './packs.ts';

/** Packs that are sent at once, besides the one that is filled. */
const atOnce = 3;

export interface PackWriter<T> {
  /**
   * Adds a unit. `fill` writes its bytes, or throws, and then nothing was added. The place counts from the moment at which
   * `onStored` gets `about`.
   */
  add(unit: NewUnit<T>): Promise<PackPlace>;
  /** Sends what is left, and waits until everything is in the store. */
  finish(): Promise<void>;
  /** Waits for what is being sent, after an error too. Never rejects. */
  settle(): Promise<void>;
  /** Bytes and packs that were sent. */
  readonly sent: { bytes: number; packs: number };
}

export interface NewUnit<T> {
  /** Of a block. */
  readonly id?: string;
  readonly length: number;
  readonly fill: (target: Buffer) => Awaitable<void>;
  readonly about?: T;
}

export interface StoredUnit<T> {
  readonly about: T;
  readonly place: PackPlace;
}

interface Draft<T> {
  readonly pack: string;
  readonly buffer: Buffer;
  readonly units: PackUnit[];
  readonly abouts: StoredUnit<T>[];
  end: number;
}

/** Fills packs with units in the order in which they come. Holds `atOnce` + 1 packs in memory. One call at a time. */
export function createPackWriter<T>({
  packs,
  group,
  signal,
  onStored,
}: {
  readonly packs: Packs;
  readonly group: string;
  readonly signal: AbortSignal;
  /** Called for each pack when it is in the store. */
  readonly onStored: (units: readonly StoredUnit<T>[]) => Promise<void>;
}): PackWriter<T> {
  const run = newRun();
  const sent = { bytes: 0, packs: 0 };
  const sending = new Set<Promise<void>>();
  let number = 0;
  let draft: Draft<T> | undefined;
  let failure: { readonly error: unknown } | undefined;

  const begin = (): Draft<T> => ({
    pack: packOfRun(run, number++),
    buffer: Buffer.allocUnsafe(packMaxBytes),
    units: [],
    abouts: [],
    end: 0,
  });
  const throwFailure = (): void => {
    if (failure !== undefined) throw failure.error;
  };
  const send = async ({ pack, buffer, units, abouts, end }: Draft<T>): Promise<void> => {
    const plain = closePack(buffer, end, units);
    await packs.put(group, pack, plain, signal);
    sent.bytes += plain.length;
    sent.packs += 1;
    await onStored(abouts);
  };
  const flush = async (): Promise<void> => {
    if (draft === undefined) return;
    const full = draft;
    draft = undefined;
    if (full.units.length === 0) return;
    while (sending.size >= atOnce) await Promise.race(sending);
    throwFailure();
    const task = send(full)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => sending.delete(task));
    sending.add(task);
  };

  return {
    sent,
    async add({ id, length, fill, about }) {
      throwFailure();
      signal.throwIfAborted();
      if (draft !== undefined && draft.end + length + tableBytes(draft.units.length + 1) > packMaxBytes) await flush();
      const into = (draft ??= begin());
      await fill(into.buffer.subarray(into.end, into.end + length));
      const place = { pack: into.pack, at: into.end, length };
      into.units.push({ id, at: into.end, length });
      if (about !== undefined) into.abouts.push({ about, place });
      into.end += length;
      return place;
    },
    async finish() {
      await flush();
      await Promise.all(sending);
      throwFailure();
    },
    async settle() {
      await Promise.all(sending);
    },
  };
}
