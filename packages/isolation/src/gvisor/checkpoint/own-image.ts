import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withHostName } from './host-name.ts';
import { formatStateFile, readStateFile, stateFileName } from './state-file.ts';

/**
 * Fills `folder` with the saved memory in `memory` for a sandbox with another host name; unchanged files are linked.
 * `memory` may serve other copies at the same time. Throws if the state file is missing or damaged.
 */
export async function makeOwnImage(folder: string, memory: string, hostName: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  const { head, objects } = await readStateFile(memory);
  const own = formatStateFile({ head, objects: withHostName(objects, hostName) });
  await writeFile(join(folder, stateFileName), own, { mode: 0o600 });
  for (const name of await readdir(memory))
    if (name !== stateFileName) await symlink(join(memory, name), join(folder, name));
}
