import { createHmac } from 'node:crypto';
import type { HostRecord } from '../registry/record.ts';
import type { SnapshotRecord } from '../registry/snapshot-store.ts';
import { isStarted } from '../registry/started-snapshot.ts';
import type { KnownSandbox } from '../registry/table.ts';

/** A paused sandbox or a snapshot: what is in the object store as a whole, or is lost with the host. */
export interface Unit {
  readonly what: 'sandbox' | 'snapshot';
  readonly id: string;
  readonly stateId: string;
  /** Topmost first. */
  readonly layers: readonly string[];
  /** Name of the object with its record. Another one after each change of the record. */
  readonly object: string;
  /** Names of the parcels that it needs. */
  readonly parcels: readonly string[];
  readonly sizeBytes: number;
  readonly source:
    | { readonly what: 'sandbox'; readonly record: HostRecord }
    | { readonly what: 'snapshot'; readonly record: SnapshotRecord };
}

/** All units that a host has now. Records do not change, so their units are computed once. */
export function createUnitFinder(key: Uint8Array): {
  find(sandboxes: readonly KnownSandbox[], snapshots: readonly SnapshotRecord[]): Unit[];
} {
  const known = new WeakMap<object, Unit>();
  const unitOf = (source: Unit['source']): Unit => {
    const { record } = source;
    const unit = known.get(record) ?? createUnit(source, key);
    known.set(record, unit);
    return unit;
  };
  return {
    find(sandboxes, snapshots) {
      const paused = sandboxes.map(({ record }) => record).filter(isAsleep);
      const kept = snapshots.filter(({ snapshotId }) => !isStarted(snapshotId));
      return [
        ...paused.map((record) => unitOf({ what: 'sandbox', record })),
        ...kept.map((record) => unitOf({ what: 'snapshot', record })),
      ];
    },
  };
}

function isAsleep({ state, saved, tenant }: HostRecord): boolean {
  return state === 'paused' && saved !== undefined && tenant !== undefined;
}

function createUnit(source: Unit['source'], key: Uint8Array): Unit {
  const { layers, templateId, runtimeName } = source.record;
  const isSandbox = source.what === 'sandbox';
  const id = isSandbox ? source.record.sandboxId : source.record.snapshotId;
  const stateId = isSandbox ? (source.record.saved?.stateId ?? '') : source.record.stateId;
  const sizeBytes = isSandbox ? (source.record.saved?.sizeBytes ?? 0) : source.record.sizeBytes;
  // Not a plain digest: the store sees it.
  const digest = createHmac('sha256', key).update(JSON.stringify(source.record)).digest('hex').slice(0, 16);
  const ownDisk = isSandbox && source.record.disk === 'kept' ? [`disks/${id}.${stateId}`] : [];
  return {
    ...{ what: source.what, id, stateId, layers, sizeBytes, source },
    object: `${recordPrefix(source.what, id, stateId)}${digest}`,
    parcels: [
      `templates/${templateId}`,
      `runtimes/${runtimeName}`,
      ...layers.map((layerId) => `layers/${layerId}`),
      ...ownDisk,
      `states/${stateId}`,
    ],
  };
}

/** The beginning of the name of a record's object. */
export function recordPrefix(what: Unit['what'], id: string, stateId: string): string {
  return `records/${what}/${id}.${stateId}.`;
}
