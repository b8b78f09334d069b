import type { DiskDigests, StampedDisk } from '@soulbox/checkpoints';
import { getDriver } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { SandboxRecord } from '../registry/record.ts';

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
