import { existsSync, statSync } from 'node:fs';
import type { DiskDigests, StampedDisk } from '@soulbox/checkpoints';
import { getDriver } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { SandboxRecord } from '../registry/record.ts';
import type { TenantSandbox } from '../registry/table.ts';

/**
 * What tells the root folder of a template from a copy of it. The disk of a sandbox names folders and files of the root that it was made
 * on by their inodes, and the kernel takes nothing else for them (decision 027).
 */
export function readRootIdentity(rootfs: string): string {
  const { ino, birthtimeNs } = statSync(rootfs, { bigint: true });
  return `${ino}:${birthtimeNs}`;
}

/**
 * What the disk in the folder of a sandbox without processes holds, for its record. Undefined when it has none there, and, with a
 * word in the log, when it cannot be read: an end of its processes is not undone for that. Some 15 ms, and up to a quarter of
 * a second with 256 MiB of data.
 */
export async function digestKeptDisk(host: SandboxHost, record: SandboxRecord): Promise<DiskDigests | undefined> {
  if (record.disk === 'new') return undefined;
  try {
    return await host.states.digestDisk(pathOf(host, record));
  } catch (err) {
    host.logger.error({ sandboxId: record.sandboxId, err }, 'disk of a paused sandbox not digested');
    return undefined;
  }
}

/**
 * Refuses the disk of a paused sandbox that is not what it was when its processes ended; it stays as it is. Throws
 * `state_damaged`.
 */
export async function checkKeptDisk(host: SandboxHost, record: SandboxRecord): Promise<void> {
  const { disk, saved } = record;
  if (disk === 'kept' && saved?.disk !== undefined) await host.states.verifyDisk(pathOf(host, record), saved.disk);
}

/** Notes beside a large disk what it holds, in the time that `isWanted` gives it. */
export async function digestAtLeisure(
  host: SandboxHost,
  record: SandboxRecord,
  disk: StampedDisk,
  isWanted: () => boolean,
): Promise<void> {
  await host.states.digestAtLeisure(pathOf(host, record), disk, isWanted);
}

function pathOf(host: SandboxHost, { sandboxId, driver }: SandboxRecord): string {
  return getDriver(host, driver).diskPath(sandboxId, host.store.directoryOf(sandboxId));
}

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
