import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check, Finding, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** Further records are not named. */
const namedMax = 5;

/**
 * Records that a server could not read and has set aside (the runner's record-files.ts). They are not deleted until
 * somebody has looked at them.
 */
export const checkUnreadableRecords: Check = async ({ dataDirectory }: HostSubject) => {
  const paths: string[] = [];
  for (const folder of ['sandboxes-unreadable', 'snapshots-unreadable'])
    for (const name of await namesIn(join(dataDirectory, folder))) paths.push(join(dataDirectory, folder, name));
  return judgeUnreadableRecords(paths);
};

export function judgeUnreadableRecords(paths: readonly string[]): Finding | [] {
  if (paths.length === 0) return [];
  const more = paths.length > namedMax ? ` and ${paths.length - namedMax} more` : '';
  return {
    id: 'unreadable-records',
    title: 'Unreadable records',
    status: 'warn',
    detail: `${paths.slice(0, namedMax).join(', ')}${more}: while these exist, checkpoints and disks are not garbage-collected`,
    protects: 'sandboxes and snapshots whose records are damaged',
    fix: sameFix(
      'stop the server, then repair each file and move it back to sandboxes/ (with its folder) or snapshots/; or delete it, which gives up its sandbox or snapshot',
    ),
  };
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}
