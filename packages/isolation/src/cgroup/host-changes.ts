import { readFileSync } from 'node:fs';
import { readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { readCgroupMounts } from './layout.ts';
import { hasFastGroupMoves, makeGroupMovesSlow } from './fast-moves.ts';
import { hostGroup, moveProcesses } from './prepare.ts';

/** The parts of the host's control groups that set-up may change. */
export interface HostCgroups {
  /** Mount points of v1 trees. */
  readonly mounts: readonly string[];
  /** Controllers of the groups below the root of the v2 tree. */
  readonly controllers: readonly string[];
  readonly fastMoves: boolean;
}

export function readHostCgroups(): HostCgroups {
  const { v1, unified } = readCgroupMounts();
  const control = unified === undefined ? '' : readFileSync(join(unified, 'cgroup.subtree_control'), 'utf8');
  return {
    mounts: [...new Set(v1.values())],
    controllers: control.split(/\s+/).filter(Boolean),
    fastMoves: hasFastGroupMoves() === true,
  };
}

/**
 * Undoes changes one by one: if one cannot be undone (because another program uses it), the others still are. Returns
 * descriptions of those that could not be undone.
 */
export async function undoHostCgroups(changes: HostCgroups): Promise<string[]> {
  const left: string[] = [];
  const attempt = async (what: string, undo: () => Promise<unknown>): Promise<void> => {
    await undo().catch((error: unknown) =>
      left.push(`${what}: ${error instanceof Error ? error.message : String(error)}`),
    );
  };
  const present = readHostCgroups();
  for (const mount of changes.mounts)
    if (present.mounts.includes(mount))
      await attempt(`the mount ${mount}`, async () => await run('umount', ['--', mount]));
  const controllers = changes.controllers.filter((name) => present.controllers.includes(name));
  const { unified } = readCgroupMounts();
  if (unified !== undefined && controllers.length > 0)
    await attempt(`the controllers ${controllers.join(', ')} of ${unified}`, async () => {
      await writeFile(join(unified, 'cgroup.subtree_control'), controllers.map((name) => `-${name}`).join(' '));
      await dissolveHostGroup(unified);
    });
  if (changes.fastMoves && present.fastMoves) await attempt('fast moves between groups', makeGroupMovesSlow);
  return left;
}

/** Removes the group into which set-up moved the processes of the root group, if it had to. */
async function dissolveHostGroup(root: string): Promise<void> {
  const group = join(root, hostGroup);
  const exists = await readFile(join(group, 'cgroup.procs'), 'utf8').then(
    () => true,
    () => false,
  );
  if (!exists) return;
  await moveProcesses(group, root);
  await rmdir(group);
}
