import type { StoredRecord } from '@soulbox/vault/stored';
import type { OperationContext } from '../operations/operation-context.ts';
import { openParcelSource } from './parcel-source.ts';
import type { StoreState } from './store-state.ts';
import type { Unit } from './unit.ts';

type UnitContext = Pick<OperationContext, 'host' | 'snapshots' | 'references' | 'templates' | 'clock'>;

interface UnitOptions {
  readonly key: Uint8Array;
  readonly signal: AbortSignal;
  /** Whether the host still has it as it was. */
  readonly isWanted: (unit: Unit) => boolean;
}

/** Parcels that are being uploaded: several units may need the same template or layer. */
const uploading = new WeakMap<StoreState, Map<string, Promise<number>>>();

/** Uploads what a unit needs, then its record. Returns the bytes of all that it has uploaded, compressed. */
export async function uploadUnit(
  context: UnitContext,
  store: StoreState,
  unit: Unit,
  { key, signal, isWanted }: UnitOptions,
): Promise<number> {
  using _hold = context.references.hold({ checkpoints: [unit.stateId], layers: unit.layers });
  let bytes = 0;
  for (const parcel of unit.parcels) {
    if (!store.complete.has(parcel))
      bytes += await uploadShared(context, store, unit, parcel, { signal, isWanted, key });
    signal.throwIfAborted();
  }
  const record: StoredRecord = {
    ...{ format: 1, what: unit.what, id: unit.id, stateId: unit.stateId, parcels: [...unit.parcels] },
    savedAtMs: context.clock.now(),
    text: await textOf(context, unit),
  };
  await store.objects.put(unit.object, Buffer.from(JSON.stringify(record)), { key, signal });
  store.records.add(unit.object);
  return bytes;
}

async function textOf({ host, snapshots }: UnitContext, { source }: Unit): Promise<string> {
  return source.what === 'sandbox' ? await host.store.textOf(source.record) : await snapshots.textOf(source.record);
}

async function uploadShared(
  context: UnitContext,
  store: StoreState,
  unit: Unit,
  parcel: string,
  options: UnitOptions,
): Promise<number> {
  const present = uploading.get(store) ?? new Map<string, Promise<number>>();
  uploading.set(store, present);
  const other = present.get(parcel);
  if (other !== undefined) {
    await other;
    return 0;
  }
  const own = uploadParcel(context, store, unit, parcel, options).finally(() => present.delete(parcel));
  present.set(parcel, own);
  return await own;
}

async function uploadParcel(
  context: UnitContext,
  store: StoreState,
  unit: Unit,
  parcel: string,
  { signal, isWanted }: UnitOptions,
): Promise<number> {
  await using source = await openParcelSource(context, unit, parcel, signal);
  const bytes = await store.parcels.put(parcel, source.content(signal), {
    ...{ signal, about: source.about, ...(source.chunkBytes !== undefined && { chunkBytes: source.chunkBytes }) },
    async check() {
      if (parcel.startsWith('disks/') && !isWanted(unit)) throw new Error('the sandbox runs again');
      await source.check();
    },
  });
  store.complete.add(parcel);
  return bytes;
}
