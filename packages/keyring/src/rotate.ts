import { SoulBoxError, systemClock } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { DataKeyRecord, KeyringRecords, Rewrapped } from '@soulbox/storage';
import { contextOf, unwrapWith } from './data-keys.ts';
import type { MasterKey, MasterKeySource } from './master-key.ts';
import { findMasterKey, sourceOf } from './sources.ts';

/** Data keys that are re-wrapped in one transaction. */
const batchSize = 200;

export interface RotateOptions {
  /**
   * All sets of data keys under these master keys. A set without a master key, which no server has used yet, is left out.
   * One that a server begins to use meanwhile is included.
   */
  readonly records: readonly KeyringRecords[];
  /** The new master key is created in the first one. */
  readonly sources: readonly [MasterKeySource, ...MasterKeySource[]];
  /** Keep old master keys in their sources, for backups from before. */
  readonly keepOld: boolean;
  readonly onProgress?: (rewrapped: number, total: number) => void;
  readonly clock?: Clock;
}

export interface Rotation {
  /** The master key that wraps all data keys now. */
  readonly to: string;
  /** Whether this call finished an interrupted rotation. */
  readonly isContinued: boolean;
  readonly rewrapped: number;
  /**
   * False if another process kept the old wrappings in the files of the records. They are then overwritten with time.
   */
  readonly isErased: boolean;
  /** Master keys that nothing is wrapped with any more. */
  readonly retired: readonly { readonly id: string; readonly isRemoved: boolean }[];
}

/**
 * Replaces the master key: creates a new one, makes it current in all sets, wraps every data key with it, and then
 * removes the old one. Servers may use the records meanwhile: both keys are valid until no data key of any set needs the
 * old one, and new data keys are accepted under the current master key only. After a crash at any point, another call
 * continues. One process rotates at a time; the caller takes care of that.
 */
export async function rotateMasterKey(options: RotateOptions): Promise<Rotation> {
  const { sources, onProgress = () => undefined, clock = systemClock, keepOld } = options;
  const sets = await findUsed(options.records);
  const isContinued = sets.some((set) => set.current !== undefined && set.retiring.length > 0);
  using current = isContinued ? await continuedKey(sets, sources) : await newKey(sets, sources);
  for (const { records, current: before } of sets) await switchTo(records, current.id, before, clock.now());
  using masters = createMasters(sources);
  const all = sets.map(({ records }) => records);
  const total = await countNotCurrent(all);
  let rewrapped = 0;
  for (;;) {
    for (const records of all)
      rewrapped += await rewrapAll(records, masters, current, (count) => onProgress(rewrapped + count, total));
    const old = [...new Set((await Promise.all(all.map(findKeys))).flatMap(({ retiring }) => retiring))];
    if ((await countNotCurrent(all)) > 0) continue;
    // The replaced wrappings must not remain in the files, because the old key could open them.
    const erased = await Promise.all(all.map(async (records) => await records.eraseReplaced()));
    // A server that started meanwhile may have begun to use a set with an old key.
    if (await takeInNewSets(options.records, all, current.id, clock.now())) continue;
    const retired = await Promise.all(
      old.map(async (id) => ({ id, isRemoved: !keepOld && ((await sourceOf(sources, id)?.remove(id)) ?? false) })),
    );
    const areRetired = await Promise.all(all.map(async (records) => await records.retireMasterKeys()));
    const isErased = !erased.includes(false);
    if (!areRetired.includes(false)) return { to: current.id, isContinued, rewrapped, isErased, retired };
  }
}

/** The master keys of a set. */
interface KeysOfSet {
  readonly records: KeyringRecords;
  readonly current: string | undefined;
  readonly retiring: readonly string[];
  readonly known: readonly string[];
}

async function findKeys(records: KeyringRecords): Promise<KeysOfSet> {
  const keys = await records.listMasterKeys();
  return {
    records,
    current: keys.find(({ state }) => state === 'current')?.id,
    retiring: keys.filter(({ state }) => state === 'retiring').map(({ id }) => id),
    known: keys.map(({ id }) => id),
  };
}

async function findUsed(sets: readonly KeyringRecords[]): Promise<KeysOfSet[]> {
  const used = (await Promise.all(sets.map(findKeys))).filter(({ current }) => current !== undefined);
  if (used.length > 0) return used;
  throw new SoulBoxError('config_invalid', 'The records have no master key yet. Start the server once.');
}

/** A set that the interrupted call did not reach is still at the old key. */
async function continuedKey(sets: readonly KeysOfSet[], sources: RotateOptions['sources']): Promise<MasterKey> {
  return await findMasterKey(sources, sets.find(({ retiring }) => retiring.length > 0)?.current ?? '');
}

/** The old keys must be usable, otherwise nothing is begun. */
async function newKey(sets: readonly KeysOfSet[], sources: RotateOptions['sources']): Promise<MasterKey> {
  for (const { current } of sets) (await findMasterKey(sources, current ?? ''))[Symbol.dispose]();
  // A crash before the switch leaves a key that nothing uses.
  const key = (await sources[0].findUnused(sets.flatMap(({ known }) => known))) ?? (await sources[0].create());
  await checkKey(key);
  return key;
}

async function switchTo(records: KeyringRecords, id: string, before: string | undefined, now: number): Promise<void> {
  if (before === id || (await records.switchMasterKey(id, before, now))) return;
  throw new SoulBoxError('illegal_transition', 'Another process has rotated the master key at the same time.');
}

/** Switches sets that have another current key than `id`, and adds them to `all`. Whether there are any. */
async function takeInNewSets(
  records: readonly KeyringRecords[],
  all: KeyringRecords[],
  id: string,
  now: number,
): Promise<boolean> {
  const late = (await Promise.all(records.map(findKeys))).filter(
    ({ current }) => current !== undefined && current !== id,
  );
  for (const { records: set, current } of late) {
    await switchTo(set, id, current, now);
    if (!all.includes(set)) all.push(set);
  }
  return late.length > 0;
}

async function countNotCurrent(sets: readonly KeyringRecords[]): Promise<number> {
  const counts = await Promise.all(sets.map(async (records) => await records.countNotCurrent()));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A key that could not unwrap what it wrapped would lose every secret. */
async function checkKey(key: MasterKey): Promise<void> {
  const probe = Buffer.alloc(32, 0xa5);
  const unwrapped = await key.unwrap(await key.wrap(probe, 'soulbox probe'), 'soulbox probe');
  if (!unwrapped.equals(probe)) throw new SoulBoxError('config_invalid', `The master key ${key.id} does not work.`);
}

async function rewrapAll(
  records: KeyringRecords,
  masters: Masters,
  current: MasterKey,
  onBatch: (count: number) => void,
): Promise<number> {
  let count = 0;
  for (;;) {
    const batch = await records.listNotCurrent(batchSize);
    if (batch.length === 0) return count;
    const changes: Rewrapped[] = [];
    for (const record of batch) changes.push(await rewrapOne(await masters.get(record.masterKeyId), record, current));
    const changed = await records.rewrap(current.id, changes);
    if (changed === 0)
      throw new SoulBoxError('illegal_transition', 'Another process has rotated the master key at the same time.');
    count += changed;
    onBatch(count);
  }
}

async function rewrapOne(old: MasterKey, record: DataKeyRecord, current: MasterKey): Promise<Rewrapped> {
  const key = await unwrapWith(old, record);
  try {
    const wrapped = (await current.wrap(key, contextOf(record.id))).toString('base64url');
    return { id: record.id, before: record.wrapped, wrapped };
  } finally {
    key.fill(0);
  }
}

/** The old master keys, each read once. */
interface Masters extends Disposable {
  get(id: string): Promise<MasterKey>;
}

function createMasters(sources: readonly MasterKeySource[]): Masters {
  const found = new Map<string, MasterKey>();
  return {
    async get(id) {
      const master = found.get(id) ?? (await findMasterKey(sources, id));
      found.set(id, master);
      return master;
    },
    [Symbol.dispose]() {
      for (const master of found.values()) master[Symbol.dispose]();
    },
  };
}
