import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readInstallation } from '../installation.ts';
import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** The right of other users to enter a folder. */
const othersEnter = 0o001;

/**
 * Whether processes that have given up their privileges can still read code. The bucket service loads the SDK of a store
 * when a bucket is used; the other processes load everything before.
 */
export const checkClosedInstallation: Check = async () =>
  judgeClosedInstallation(await findClosedFolder(readInstallation().root));

/** The outermost folder, of these and those above, that other users cannot enter. */
export async function findClosedFolder(path: string): Promise<string | undefined> {
  const above = dirname(path);
  const closed = above === path ? undefined : await findClosedFolder(above);
  if (closed !== undefined) return closed;
  return ((await stat(path)).mode & othersEnter) === 0 ? path : undefined;
}

export function judgeClosedInstallation(folder: string | undefined): Finding {
  const base = { id: 'closed-installation', title: 'Access to the installation', protects: 'buckets' };
  if (folder === undefined) return { ...base, status: 'ok', detail: 'other users can enter its folders' };
  return {
    ...base,
    status: 'warn',
    detail: `buckets cannot be used: other users cannot enter ${folder}, and the process for buckets has a user of its own`,
    fix: sameFix(
      'install SoulBox in another folder, for example: npm install --global --prefix /usr/local soulbox-server',
    ),
  };
}
