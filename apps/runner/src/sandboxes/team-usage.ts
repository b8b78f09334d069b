import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OperationContext } from './operation.ts';

/** What the sandboxes of one team take of the host's disk. */
export interface TeamUsage {
  readonly diskBytes: number;
  readonly pausedMemoryBytes: number;
}

/** stat(2) counts blocks of so many bytes, whatever the file system's are. */
const statBlockBytes = 512;

/** Read off records and files: nothing is counted along the way, so that nothing can be miscounted. Some 10 microseconds a sandbox. */
export async function readTeamUsage({ table, host }: OperationContext, teamId: string): Promise<TeamUsage> {
  const sandboxes = table.tenants().filter(({ record }) => record.tenant.teamId === teamId);
  let diskBytes = 0;
  for (const { record } of sandboxes) diskBytes += await sizeOfFolder(host.store.directoryOf(record.sandboxId));
  const pausedMemoryBytes = sandboxes.reduce((sum, { record }) => sum + (record.saved?.sizeBytes ?? 0), 0);
  return { diskBytes, pausedMemoryBytes };
}

/** The disk image is the one large file in the folder of a sandbox; what is mounted below is not looked at. */
async function sizeOfFolder(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile()) {
      const blocks = await stat(join(directory, entry.name)).then(
        (found) => found.blocks,
        () => 0,
      );
      bytes += blocks * statBlockBytes;
    }
  return bytes;
}
