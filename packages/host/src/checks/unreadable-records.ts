import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check, Finding, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** More are not named. */
const namedMax = 5;

/** Files that a server could not read: what they name is kept, and nothing is cleared away until somebody has looked. */
export const checkUnreadableRecords: Check = async ({ dataDirectory }: HostSubject) => {
  // As the runner's record store sets them aside.
  const aside = join(dataDirectory, 'sandboxes-unreadable');
  const sandboxes = await namesIn(aside);
  const snapshots = join(dataDirectory, 'snapshots');
  const torn: string[] = [];
  for (const name of (await namesIn(snapshots)).filter((each) => each.endsWith('.json')))
    if (!(await isJson(join(snapshots, name)))) torn.push(join(snapshots, name));
  return judgeUnreadableRecords([...sandboxes.map((name) => join(aside, name)), ...torn]);
};

export function judgeUnreadableRecords(paths: readonly string[]): Finding | [] {
  if (paths.length === 0) return [];
  const more = paths.length > namedMax ? ` and ${paths.length - namedMax} more` : '';
  return {
    id: 'unreadable-records',
    title: 'Records that cannot be read',
    status: 'warn',
    detail: `${paths.slice(0, namedMax).join(', ')}${more}: saved memory and disks are not cleared away while they are there`,
    protects: 'sandboxes and snapshots whose records are damaged',
    fix: sameFix(
      'stop the server, then mend each file and move it back with its folder (ID and ID.json into sandboxes/), or delete it to give the sandbox up',
    ),
  };
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}

async function isJson(path: string): Promise<boolean> {
  try {
    JSON.parse(await readFile(path, 'utf8'));
    return true;
  } catch {
    return false;
  }
}
