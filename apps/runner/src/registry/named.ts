import type { HostRecord } from './record.ts';
import type { SnapshotRecord } from './snapshot-store.ts';

/** Checkpoints and layers that an operation in progress uses, although no record names them yet or any more. */
export interface Holding {
  readonly checkpoints?: readonly string[];
  readonly layers?: readonly string[];
}

/** Ids of checkpoints and layers that must stay. */
export interface Named {
  readonly checkpoints: Set<string>;
  readonly layers: Set<string>;
}

/** All checkpoints and layers that records, snapshots and operations in progress name. */
export function findNamed(
  records: readonly HostRecord[],
  snapshots: readonly SnapshotRecord[],
  holdings: Iterable<Holding>,
): Named {
  const held = [...holdings];
  const checkpoints = [
    ...records.flatMap(({ saved, work, pagesFrom }) => [saved?.stateId ?? '', work?.stateId ?? '', pagesFrom]),
    ...snapshots.map((snapshot) => snapshot.stateId),
    ...held.flatMap((holding) => holding.checkpoints ?? []),
  ];
  const layers = [
    ...records.flatMap((record) => [...record.layers, record.work?.layerId ?? '']),
    ...snapshots.flatMap((snapshot) => snapshot.layers),
    ...held.flatMap((holding) => holding.layers ?? []),
  ];
  return { checkpoints: new Set(checkpoints), layers: new Set(layers) };
}
