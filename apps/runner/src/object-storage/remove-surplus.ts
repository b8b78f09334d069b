import { existsSync } from 'node:fs';
import { unitKinds } from '@soulbox/vault/stored';
import type { OperationContext } from '../operations/operation-context.ts';
import { bundleDirectoryOf } from '../processes/sandbox-host.ts';
import type { StoreState } from './store-state.ts';
import { recordPrefix } from './unit.ts';
import type { Unit } from './unit.ts';

type SurplusContext = Pick<OperationContext, 'host' | 'table' | 'snapshots' | 'references' | 'templates'>;

/**
 * Removes the records of sandboxes that run again or have ended, and of deleted snapshots. Memory that has run on must
 * never be restored. The older record of a sandbox that still sleeps is kept until the newer one is there.
 */
export async function removeStaleRecords(
  context: SurplusContext,
  store: StoreState,
  units: readonly Unit[],
  signal: AbortSignal,
): Promise<void> {
  const current = new Map(units.map(({ what, id, stateId, object }) => [recordPrefix(what, id, stateId), object]));
  const keepsUnknown = await isAnyUnreadable(context);
  for (const name of store.records) {
    const [, prefix = '', id = ''] = /^(records\/[a-z]+\/([^.]+)\.[^.]+\.)[0-9a-f]{16}$/.exec(name) ?? [];
    const now = current.get(prefix);
    if (now === name || (now !== undefined && !store.records.has(now))) continue;
    if (keepsUnknown && context.table.find(id) === undefined) continue;
    await store.objects.delete(name, signal);
    store.records.delete(name);
  }
}

/** Removes parcels that no record needs. Their records were removed before. */
export async function removeUnneededParcels(
  context: SurplusContext,
  store: StoreState,
  units: readonly Unit[],
  signal: AbortSignal,
): Promise<void> {
  if (await isAnyUnreadable(context)) return;
  // A running sandbox, a copy in progress and the build cache may need what is only in the store.
  const { checkpoints, layers } = context.references.needed();
  const needed = new Set([
    ...units.flatMap(({ parcels }) => parcels),
    ...[...checkpoints].map((id) => `states/${id}`),
    ...[...layers].map((id) => `layers/${id}`),
  ]);
  for (const name of store.complete) {
    const isOurs = unitKinds.some((kind) => name.startsWith(`${kind}/`));
    if (needed.has(name) || !isOurs || (await isOnHost(context, name))) continue;
    // First: after an error it is unknown whether it is still there, and an upload finds out.
    store.complete.delete(name);
    await store.parcels.remove(name, signal);
  }
}

/** A record that was set aside may be that of anything in the store. */
async function isAnyUnreadable({ host, snapshots }: SurplusContext): Promise<boolean> {
  return (await host.store.hasSetAside()) || (await snapshots.hasSetAside());
}

/** The next sandbox will need it again, and it is large. */
async function isOnHost({ host, templates }: SurplusContext, parcel: string): Promise<boolean> {
  const [kind, id = ''] = parcel.split('/');
  if (kind === 'templates') return (await templates.find(id)) !== undefined;
  return kind === 'runtimes' && existsSync(bundleDirectoryOf(host, id));
}
