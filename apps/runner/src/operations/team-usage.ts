import { statSync } from 'node:fs';
import { sumOf } from '../disk-budget/shares.ts';
import { statBlockBytes } from './layers/size-of-layers.ts';
import type { OperationContext } from './operation-context.ts';
import type { HostRecord } from '../registry/record.ts';
import type { TenantSandbox } from '../registry/table.ts';

/** The use of the host's disk by the sandboxes and snapshots of one team. */
export interface TeamUsage {
  /** Disks, their layers (each once), and the memory of snapshots. Layers of finished builds are not counted. */
  readonly diskBytes: number;
  readonly pausedMemoryBytes: number;
}

/**
 * Computes a team's usage from records and files. No running count is kept, so none can be wrong. It is called before
 * every step that uses more. Sizes that do not change are read once: those of layers, and of the disks of paused
 * sandboxes. Any other takes some microseconds.
 */
export function createTeamUsage({
  table,
  host,
  snapshots,
}: Pick<OperationContext, 'table' | 'host' | 'snapshots'>): (teamId: string) => TeamUsage {
  /** By record. Every change makes a new record. */
  const pausedDisks = new WeakMap<HostRecord, number>();
  /** By team, the sizes of its layers at the previous call. */
  const layersOf = new Map<string, ReadonlyMap<string, number>>();

  const sizeOfDisk = ({ record }: TenantSandbox): number => {
    const { sandboxId, driver, state } = record;
    const path = host.drivers.get(driver)?.diskPath(sandboxId, host.store.directoryOf(sandboxId));
    const bytes = pausedDisks.get(record) ?? (path === undefined ? 0 : sizeOfFile(path));
    if (state === 'paused') pausedDisks.set(record, bytes);
    return bytes;
  };

  return (teamId) => {
    const sandboxes = table.tenants().filter(({ record }) => record.tenant.teamId === teamId);
    const builds = snapshots.list().filter(({ variables }) => variables !== undefined);
    const kept = snapshots
      .list()
      .filter(({ tenant, variables }) => variables === undefined && tenant.teamId === teamId);
    const used = new Set([...sandboxes.map(({ record }) => record), ...kept].flatMap(({ layers }) => layers));
    const ofBuilds = new Set(builds.flatMap(({ layers }) => layers));
    const known = layersOf.get(teamId);
    const sizes = new Map(
      [...used].map((layerId) => [layerId, known?.get(layerId) ?? sizeOfFile(host.checkpoints.layerPath(layerId))]),
    );
    if (sizes.size > 0) layersOf.set(teamId, sizes);
    else layersOf.delete(teamId);
    const sizeOf = (layerId: string): number => sizes.get(layerId) ?? 0;
    // The memory of a snapshot is its measured size without its layers. Several snapshots may share it.
    const memories = new Map(
      kept.map(({ stateId: checkpointId, sizeBytes, layers }) => [
        checkpointId,
        Math.max(0, sizeBytes - sumOf(layers, sizeOf)),
      ]),
    );
    const own = [...used].filter((layerId) => !ofBuilds.has(layerId));
    return {
      diskBytes: sumOf(sandboxes, sizeOfDisk) + sumOf(own, sizeOf) + sumOf([...memories.values()], (bytes) => bytes),
      pausedMemoryBytes: sumOf(sandboxes, ({ record }) => record.saved?.sizeBytes ?? 0),
    };
  };
}

/** Bytes on the host's disk. */
function sizeOfFile(path: string): number {
  try {
    return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * statBlockBytes;
  } catch {
    return 0;
  }
}
