import { existsSync, statSync } from 'node:fs';
import type { DiskDigests, StampedDisk } from '@soulbox/checkpoints';
import { getDriver } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { HostRecord } from '../registry/record.ts';
import type { TenantSandbox } from '../registry/table.ts';

/**
 * Distinguishes the root folder of a template from a copy of it. The disk of a sandbox refers to files of its root by
 * their inodes, so it works only over the very folder it was made on (decision 027). Records keep this as `ground`.
 */
export function readRootIdentity(rootfs: string): string {
  const { ino, birthtimeNs } = statSync(rootfs, { bigint: true });
  return `${ino}:${birthtimeNs}`;
}

/**
 * Digests the disk of a sandbox without processes, for its record. Undefined when it has no disk of its own, and when
 * the disk cannot be read: that is logged, and the processes stay ended. Takes some 15 ms, and up to 250 ms with 256
 * MiB of data.
 */
export async function digestKeptDisk(host: SandboxHost, record: HostRecord): Promise<DiskDigests | undefined> {
  if (record.disk === 'new') return undefined;
  try {
    return await host.checkpoints.digestDisk(pathOf(host, record));
  } catch (err) {
    host.logger.error(
      { sandboxId: record.sandboxId, err },
      'digests of the disk of a paused sandbox could not be computed',
    );
    return undefined;
  }
}

/** Brings the disk of a paused sandbox to this host if only the object store has it. Throws like `StoredCopies`. */
export async function fetchKeptDisk(host: SandboxHost, record: HostRecord): Promise<void> {
  const { disk, saved, sandboxId, driver } = record;
  if (disk !== 'kept' || saved === undefined) return;
  const [directory, path] = [host.store.directoryOf(sandboxId), pathOf(host, record)];
  const isFetched = await host.stored.disk({ sandboxId, stateId: saved.stateId, directory, path });
  // Its name has the number of the instance that has uploaded it.
  if (isFetched && !existsSync(path)) await getDriver(host, driver).adopt(sandboxId, directory);
}

/**
 * Checks that the disk of a paused sandbox is what it was when its processes ended. One that only the object store has is
 * fetched. Throws `state_damaged`.
 */
export async function checkKeptDisk(host: SandboxHost, record: HostRecord): Promise<void> {
  const { disk, saved } = record;
  await fetchKeptDisk(host, record);
  if (disk === 'kept' && saved?.disk !== undefined) await host.checkpoints.verifyDisk(pathOf(host, record), saved.disk);
}

/** Digests a large disk and keeps the digests beside it. Stops when `isWanted` returns false. */
export async function digestInBackground(
  host: SandboxHost,
  record: HostRecord,
  disk: StampedDisk,
  isWanted: () => boolean,
): Promise<void> {
  await host.checkpoints.digestInBackground(pathOf(host, record), disk, isWanted);
}

function pathOf(host: SandboxHost, { sandboxId, driver }: HostRecord): string {
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
  await getDriver(host, driver).takeDisk(sandboxId, directory, host.checkpoints.layerPath(layerId));
}

/**
 * The fields of a record whose disk was to become a layer. That is one rename, so it happened completely or not at
 * all. `below` are the layers under the new one.
 */
export function layersAfter(
  { host }: { readonly host: SandboxHost },
  { record }: TenantSandbox,
  layerId: string,
  below: readonly string[] = record.layers,
): Pick<HostRecord, 'layers' | 'disk'> {
  const { layers, disk } = record;
  const isTaken = layerId !== '' && !layers.includes(layerId) && existsSync(host.checkpoints.layerPath(layerId));
  return isTaken ? { layers: [layerId, ...below], disk: 'new' } : { layers, disk };
}
