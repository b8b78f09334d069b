import { readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { removeTree } from '@soulbox/base';
import { undoHostCgroups } from '@soulbox/isolation';
import { ownCriuDirectory } from '../criu/find-criu.ts';
import { isOurLauncher, launcherPath } from '../launcher.ts';
import { readSetting } from '../system.ts';
import { sysctlPath } from '../sysctls.ts';
import { hostChangesFile, readHostChanges } from './host-changes.ts';

/** One step to undo. Returns descriptions of everything that could not be undone. */
export interface UndoStep {
  /** For example `remove /usr/local/bin/soulbox`. */
  readonly what: string;
  readonly run: () => Promise<readonly string[]>;
}

export interface UndoPlan {
  readonly steps: readonly UndoStep[];
  /** What stays on the host, and why. */
  readonly left: readonly string[];
}

/** Plans how to undo the changes that setup made on this host, apart from sandboxes and data. Changes nothing yet. */
export async function planHostUndo(): Promise<UndoPlan> {
  const changes = await readHostChanges();
  const left: string[] = [];
  const steps: UndoStep[] = [];
  for (const [name, { before, set }] of Object.entries(changes.sysctls)) {
    const value = await readSetting(sysctlPath(name));
    if (value === before) continue;
    if (value === set)
      steps.push(stepOf(`set ${name} back from ${set} to ${before}`, () => writeFile(sysctlPath(name), before)));
    else left.push(`the kernel parameter ${name}: somebody has changed it since, to ${value ?? 'nothing'}`);
  }
  const { cgroupMounts: mounts, cgroupControllers: controllers, fastGroupMoves: fastMoves } = changes;
  if (mounts.length + controllers.length > 0 || fastMoves) {
    const run = async (): Promise<string[]> => await undoHostCgroups({ mounts, controllers, fastMoves });
    const what = [...mounts, ...controllers, ...(fastMoves ? ['fast moves'] : [])].join(', ');
    steps.push({ what: `undo the changes of control groups (${what})`, run });
  }
  const programs = dirname(ownCriuDirectory);
  if ((await namesIn(programs)) !== undefined) steps.push(stepOf(`remove ${programs}`, () => removeTree(programs)));
  if (await isOurLauncher()) steps.push(stepOf(`remove ${launcherPath}`, () => rm(launcherPath, { force: true })));
  if (changes.packages.length > 0)
    left.push(
      `Debian packages that set-up installed: ${changes.packages.join(' ')} (apt-get remove, if nothing else uses them)`,
    );
  return { steps, left };
}

/** Deletes the record of changes. This is the last step. */
export async function forgetHostChanges(): Promise<void> {
  await rm(hostChangesFile, { force: true });
  await rmdir(dirname(hostChangesFile)).catch(() => undefined);
}

function stepOf(what: string, run: () => Promise<unknown>): UndoStep {
  return { what, run: async () => (await run(), []) };
}

async function namesIn(directory: string): Promise<string[] | undefined> {
  return await readdir(directory).catch(() => undefined);
}
