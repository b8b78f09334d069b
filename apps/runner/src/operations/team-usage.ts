import { statSync } from 'node:fs';
import { sumOf } from '../disk-budget/shares.ts';
import { statBlockBytes } from './layers/size-of-layers.ts';
import type { OperationContext } from './operation-context.ts';
import type { SandboxRecord } from '../registry/record.ts';
import type { TenantSandbox } from '../registry/table.ts';

/** What the sandboxes and snapshots of one team take of the host's disk. */
export interface TeamUsage {
  /** Disks, the frozen ones below them (each once), and the memory of snapshots. Layers of finished builds are nobody's. */
  readonly diskBytes: number;
  readonly pausedMemoryBytes: number;
}

/**
 * Reads off records and files what a team has: nothing is counted along the way, so that nothing can be miscounted. Asked before
 * every step that takes more, so sizes that do not change are read once: of layers, and of disks whose sandbox is paused. The others
 * take some microseconds each.
 */
export function createTeamUsage({
  table,
  host,
  snapshots,
}: Pick<OperationContext, 'table' | 'host' | 'snapshots'>): (teamId: string) => TeamUsage {
  /** By record: whatever changes it makes a new one. */
  const pausedDisks = new WeakMap<SandboxRecord, number>();
  /** By team, what was used when it was last asked for. */
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
      [...used].map((layerId) => [layerId, known?.get(layerId) ?? sizeOfFile(host.states.layerPath(layerId))]),
    );
    if (sizes.size > 0) layersOf.set(teamId, sizes);
    else layersOf.delete(teamId);
    const sizeOf = (layerId: string): number => sizes.get(layerId) ?? 0;
    // What a snapshot was measured to take, less its layers, is its memory; several may have the same.
    const memories = new Map(
      kept.map(({ stateId, sizeBytes, layers }) => [stateId, Math.max(0, sizeBytes - sumOf(layers, sizeOf))]),
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
