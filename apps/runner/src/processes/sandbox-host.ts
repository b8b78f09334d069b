import { basename, dirname, join } from 'node:path';
import { completeAll, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { Driver, EnvdBundle } from '@soulbox/isolation';
import type { Network } from '@soulbox/network';
import type { CheckpointStore } from '@soulbox/checkpoints';
import type { RunnerConfig } from '../config.ts';
import type { DiskBudget } from '../disk-budget/budget.ts';
import type { MemoryRoom } from '../memory-room/memory-room.ts';
import type { RecordStore, HostRecord } from '../registry/record.ts';
import type { StoredCopies } from '../stored/stored-copies.ts';
import type { VolumeMounts } from './volume-mounts.ts';
import type { Slots } from '../registry/slots.ts';

/** The parts of the host that are needed to make, adopt and remove sandboxes. */
export interface SandboxHost {
  readonly config: RunnerConfig;
  /** Where sandboxes live: `<dataDirectory>/sandboxes`. */
  readonly dataDirectory: string;
  /** Drivers by name. */
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly network: Network;
  readonly envdBundle: EnvdBundle;
  readonly slots: Slots;
  readonly store: RecordStore;
  /** Fetches what only the object store has. */
  readonly checkpoints: CheckpointStore;
  readonly stored: StoredCopies;
  readonly disks: DiskBudget;
  readonly memory: MemoryRoom;
  readonly volumes: VolumeMounts;
  readonly logger: Logger;
}

/** Throws `capability_missing` for a name that this server has no driver for. */
export function getDriver(host: Pick<SandboxHost, 'drivers'>, name: string): Driver {
  const driver = host.drivers.get(name);
  if (driver !== undefined) return driver;
  const offered = [...host.drivers.keys()].join(', ');
  throw new SoulBoxError(
    'capability_missing',
    `This server does not offer the isolation "${name}". It offers: ${offered}.`,
  );
}

/** The isolation of the template, or else of the server. */
export function isolationOf(config: RunnerConfig, template: { readonly isolation?: string | undefined }): string {
  return template.isolation ?? config.isolation;
}

/** Records name versions of envd, not folders, because the data folder may move. */
export function bundleNameOf({ envdBundle }: Pick<SandboxHost, 'envdBundle'>): string {
  return basename(envdBundle.directory);
}

/** Where the version of envd with this name is, if this host has it. */
export function bundleDirectoryOf({ envdBundle }: Pick<SandboxHost, 'envdBundle'>, bundleName: string): string {
  return join(dirname(envdBundle.directory), bundleName);
}

/** Removes everything of a sandbox, its record last, and releases its slot. Safe to repeat. */
export async function removeSandbox(host: SandboxHost, record: HostRecord): Promise<void> {
  await host.volumes.release(record.sandboxId);
  // The processes lose their network while they end: the kernel takes 10 ms and more to remove an interface.
  await completeAll([
    getDriver(host, record.driver).destroy(record.sandboxId, host.store.directoryOf(record.sandboxId)),
    detachNetwork(host, record.slot),
  ]);
  await host.store.remove(record.sandboxId);
  // Only now: the next sandbox in this slot writes a record of its own.
  if (record.slot !== 0) host.slots.release(record.slot);
}

/** Takes the network of a slot away. The slot stays taken as long as a record names it. 0 is none. */
export async function detachNetwork({ network }: Pick<SandboxHost, 'network'>, slot: number): Promise<void> {
  if (slot !== 0) await network.detach(slot);
}
