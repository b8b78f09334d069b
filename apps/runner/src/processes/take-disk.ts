import { existsSync } from 'node:fs';
import { getDriver } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { SandboxRecord } from '../registry/record.ts';
import type { TenantSandbox } from '../registry/table.ts';

/** Turns the disk of a sandbox without processes into the layer of this id. */
export async function takeDisk(
  { host }: { readonly host: SandboxHost },
  { record }: TenantSandbox,
  layerId: string,
): Promise<void> {
  const { sandboxId, driver } = record;
  const directory = host.store.directoryOf(sandboxId);
  await getDriver(host, driver).takeDisk(sandboxId, directory, host.states.layerPath(layerId));
}

/**
 * What a record says once its disk was to become a layer: that is one rename, so it happened wholly or not at all. `below` is what
 * lies under the next disk beside it.
 */
export function layersAfter(
  { host }: { readonly host: SandboxHost },
  { record }: TenantSandbox,
  layerId: string,
  below: readonly string[] = record.layers,
): Pick<SandboxRecord, 'layers' | 'disk'> {
  const { layers, disk } = record;
  const isTaken = layerId !== '' && !layers.includes(layerId) && existsSync(host.states.layerPath(layerId));
  return isTaken ? { layers: [layerId, ...below], disk: 'new' } : { layers, disk };
}
