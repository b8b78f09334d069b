import { mkdir } from 'node:fs/promises';
import { errorFromUnknown, removeTree, sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { ObjectAccess } from '@soulbox/vault';
import type { OperationContext } from '../operations/operation-context.ts';
import { createEvictor, usualEvictionLimits } from './evictor.ts';
import { uploadStageIn } from './parcel-source.ts';
import { removeStaleRecords, removeUnneededParcels } from './remove-surplus.ts';
import { openStoreState } from './store-state.ts';
import type { StoreSettings, StoreState } from './store-state.ts';
import { createUnitFinder } from './unit.ts';
import type { Unit } from './unit.ts';
import { createFailures } from './upload-failures.ts';
import { notUploadedMax } from './upload-figures.ts';
import type { UploadFigures } from './upload-figures.ts';
import { uploadUnit } from './upload-unit.ts';

export type UploadContext = Pick<
  OperationContext,
  'host' | 'table' | 'snapshots' | 'references' | 'templates' | 'clock'
>;

/** Uploads paused sandboxes and snapshots. Disposing ends uploads in progress; the next server starts them again. */
export interface Uploader extends AsyncDisposable {
  figures(): UploadFigures;
}

export interface UploaderLimits {
  /** Units that are uploaded at once. Each holds up to four chunks of 8 MiB. */
  readonly atOnce: number;
  /** After a change, and between two looks at what there is. Milliseconds. */
  readonly settleMs: number;
  readonly lookMs: number;
  /** While the store is away. Doubled each time, up to `awayMaxMs`. */
  readonly awayMs: number;
  readonly awayMaxMs: number;
  /** How often copies on this host are counted and removed. Milliseconds. */
  readonly evictMs: number;
  /** Chunks that no parcel has are removed after this time: an upload may still be in progress. */
  readonly orphanMs: number;
}

const usualLimits: UploaderLimits = {
  ...{ atOnce: 2, settleMs: 300, lookMs: 2000, awayMs: 1000, awayMaxMs: 60_000 },
  ...{ evictMs: 5000, orphanMs: 24 * 3_600_000 },
};

/** How often chunks without a parcel are looked for. Milliseconds. */
const orphansEveryMs = 6 * 3_600_000;

/**
 * Keeps the object store equal to what this host has of sleeping sandboxes. What there is to do follows from the two
 * alone: a record that the host has and the store lacks is uploaded after all that it needs, and one that only the store
 * has is removed. So nothing is lost with this process, and nothing waits for the store.
 */
export function startUploader(
  context: UploadContext,
  access: ObjectAccess,
  settings: StoreSettings,
  limits: UploaderLimits = usualLimits,
): Uploader {
  const { host, table, snapshots } = context;
  const { logger, dataDirectory } = host;
  const stopping = new AbortController();
  const finder = createUnitFinder(settings.keys.runner);
  const failures = createFailures(() => performance.now());
  const counts = { uploads: 0, uploadedBytes: 0, failures: 0 };
  const active = new Map<
    string,
    { readonly unit: Unit; readonly ended: AbortController; readonly done: Promise<void> }
  >();
  const evictor = createEvictor(context, { ...usualEvictionLimits, ...settings.eviction });
  let evictAt = 0;
  let store: StoreState | undefined;
  let state: UploadFigures['state'] = 'starting';
  let reason = '';
  let wake = (): void => undefined;
  const unsubscribe = table.onChange(() => wake());
  const isStopping = (): boolean => stopping.signal.aborted;

  const findUnits = (): Unit[] => finder.find(table.all(), snapshots.list());
  const isWanted = (unit: Unit): boolean => {
    if (unit.source.what === 'snapshot') return snapshots.list().includes(unit.source.record);
    const record = table.find(unit.id)?.record;
    return record?.state === 'paused' && record.saved?.stateId === unit.stateId;
  };

  const begin = (at: StoreState, unit: Unit): void => {
    const ended = new AbortController();
    const signal = AbortSignal.any([stopping.signal, ended.signal]);
    const work = async (): Promise<void> => {
      try {
        const bytes = await uploadUnit(context, at, unit, { key: settings.keys.runner, signal, isWanted });
        failures.forget(unit.object);
        counts.uploads += 1;
        counts.uploadedBytes += bytes;
        logger.info({ [`${unit.what}Id`]: unit.id, bytes }, 'uploaded to the object store');
      } catch (thrown) {
        if (signal.aborted || !isWanted(unit)) return;
        const error = errorFromUnknown(thrown);
        counts.failures += 1;
        failures.note(unit.object, error.message);
        logger.warn(
          { [`${unit.what}Id`]: unit.id, err: thrown },
          'not uploaded to the object store; it is tried again',
        );
      } finally {
        active.delete(unit.object);
        wake();
      }
    };
    active.set(unit.object, { unit, ended, done: work() });
  };

  /** One look at what there is to do. Returns whether all is done. */
  const look = async (at: StoreState): Promise<boolean> => {
    await at.checkOwner(stopping.signal);
    await at.syncFiles(stopping.signal);
    const units = findUnits();
    for (const { unit, ended } of active.values())
      if (!isWanted(unit)) ended.abort(new SoulBoxError('illegal_transition', 'It has changed meanwhile.'));
    await removeStaleRecords(context, at, units, stopping.signal);
    const missing = units.filter(({ object }) => !at.records.has(object) && !active.has(object));
    for (const unit of missing.filter(({ object }) => failures.mayTry(object)).slice(0, limits.atOnce - active.size))
      begin(at, unit);
    failures.keepOnly(new Set(units.map(({ object }) => object)));
    if (active.size > 0) state = 'working';
    else state = missing.length > 0 ? 'waiting' : 'idle';
    if (active.size === 0) await removeUnneededParcels(context, at, findUnits(), stopping.signal);
    if (performance.now() >= evictAt) {
      evictAt = performance.now() + limits.evictMs;
      await evictor.evict((parcel) => at.complete.has(parcel));
    }
    return active.size === 0 && missing.length === 0;
  };

  const waitForChange = async (ms: number): Promise<void> => {
    const changed = Promise.withResolvers<undefined>();
    wake = () => changed.resolve(undefined);
    const over = new AbortController();
    try {
      const both = AbortSignal.any([stopping.signal, over.signal]);
      await Promise.race([changed.promise, sleepUnlessAborted(ms, both).catch(() => undefined)]);
    } finally {
      over.abort();
      wake = () => undefined;
    }
  };

  const run = async (): Promise<void> => {
    await removeTree(uploadStageIn(dataDirectory));
    await mkdir(uploadStageIn(dataDirectory), { recursive: true, mode: 0o700 });
    let awayMs = limits.awayMs;
    let orphansAt = performance.now() + orphansEveryMs / 6;
    while (!isStopping()) {
      try {
        store ??= await openStoreState(access, settings, dataDirectory, stopping.signal);
        const isDone = await look(store);
        if (isDone && performance.now() > orphansAt) {
          orphansAt = performance.now() + orphansEveryMs;
          const removed = await store.parcels.removeOrphans(Date.now() - limits.orphanMs, stopping.signal);
          if (removed > 0) logger.info({ removed }, 'chunks without a parcel removed from the object store');
        }
        if (reason !== '') logger.info({}, 'the object store can be used again');
        [reason, awayMs] = ['', limits.awayMs];
        await waitForChange(limits.lookMs);
        await sleepUnlessAborted(limits.settleMs, stopping.signal);
      } catch (thrown) {
        const { reason: word, message } = errorFromUnknown(thrown);
        if (reason !== message && !isStopping())
          logger.error({ err: thrown }, 'the object store cannot be used; nothing is uploaded');
        reason = message;
        state = word === 'storage_taken' ? 'refused' : 'away';
        if (state === 'refused') {
          for (const { ended } of active.values()) ended.abort(thrown);
          return;
        }
        await sleepUnlessAborted(awayMs, stopping.signal).catch(() => undefined);
        awayMs = Math.min(limits.awayMaxMs, awayMs * 2);
      }
    }
  };
  const running = run().catch((err: unknown) => {
    if (!isStopping()) logger.error({ err }, 'uploads to the object store have ended');
  });

  return {
    figures() {
      const units = findUnits();
      const missing = units.filter(({ object }) => store?.records.has(object) !== true);
      return {
        ...{ state, reason, ...counts, ...evictor.figures(), ...host.stored.figures() },
        wanted: units.length,
        uploaded: units.length - missing.length,
        pendingBytes: missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        notUploaded: missing.slice(0, notUploadedMax).map(({ what, id, object }) => {
          const failure = failures.find(object);
          return { what, id, state: failure === undefined ? 'pending' : 'failed', reason: failure ?? '' };
        }),
      };
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error('The runner stops.'));
      unsubscribe();
      await running;
      await Promise.all([...active.values()].map(async ({ done }) => await done));
    },
  };
}
