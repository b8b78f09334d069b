import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { readCgroupMounts } from '../cgroup/layout.ts';
import { readMounts } from '../cgroup/mounts.ts';
import { listPids, removeGroup } from '../cgroup/tree.ts';
import { closeClearFolder } from '../host/clear-folder.ts';
import { cgroupParent, runFolder, toolGroupParent } from '../host/names.ts';

/** Names the owner of an instance; the server that wrote it removes it itself. */
const claimFile = 'server.json';

/**
 * The traces of an instance on this host apart from its sandboxes: folders of control groups, and its folder in /run.
 */
export async function listInstanceTraces(instance: number): Promise<string[]> {
  const folders = [...groupFolders(instance), runFolder(instance)];
  const present = await Promise.all(
    folders.map(async (folder) => ((await namesIn(folder)) === undefined ? [] : [folder])),
  );
  return present.flat();
}

/** Whether a process of the instance, sandboxed or a tool, still runs. */
export async function isInstanceBusy(instance: number): Promise<boolean> {
  for (const folder of groupFolders(instance)) if ((await listPids(folder)).length > 0) return true;
  return false;
}

/**
 * Removes the traces if no process of the instance runs any more; otherwise does nothing. The claim of a server stays,
 * and so do other file systems that are mounted in its folder.
 */
export async function removeInstanceTraces(instance: number): Promise<void> {
  if (await isInstanceBusy(instance)) return;
  for (const folder of groupFolders(instance)) await removeGroup(folder);
  await closeClearFolder(instance);
  const run = runFolder(instance);
  if (readMounts().some(({ mountPoint }) => mountPoint.startsWith(`${run}/`))) return;
  const names = await namesIn(run);
  if (names === undefined) return;
  for (const name of names) if (name !== claimFile) await removeTree(join(run, name));
  // Fails while it is claimed.
  await rmdir(run).catch(() => undefined);
}

function groupFolders(instance: number): string[] {
  const { v1, unified } = readCgroupMounts();
  const trees = new Set([...v1.values(), ...(unified === undefined ? [] : [unified])]);
  return [...trees].flatMap((tree) => [join(tree, cgroupParent(instance)), join(tree, toolGroupParent(instance))]);
}

/** Undefined if there is no such folder. */
async function namesIn(directory: string): Promise<string[] | undefined> {
  return await readdir(directory).catch(() => undefined);
}
