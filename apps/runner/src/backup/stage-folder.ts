import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { findProcess, isRunning, removeTree, SoulBoxError, writeFileAtomic } from '@soulbox/base';

const ownerSchema = z.object({ pid: z.number().int().positive(), startTicks: z.number() });
const ownerName = 'owner.json';

/** Where a backup is put together, on the file system of the data folder. */
export const stageIn = (dataDirectory: string): string => join(dataDirectory, 'backup-stage');

/** Claims the right to make a backup, with an empty stage. Disposing removes the stage. Throws `illegal_transition`. */
export async function claimStage(dataDirectory: string): Promise<AsyncDisposable> {
  const stage = stageIn(dataDirectory);
  const owner = await findStageOwner(dataDirectory);
  if (owner !== undefined)
    throw new SoulBoxError('illegal_transition', `A backup of ${dataDirectory} is already running (pid ${owner.pid}).`);
  await removeTree(stage);
  await mkdir(stage, { mode: 0o700 });
  const self = findProcess(process.pid);
  if (self === undefined) throw new Error('/proc is not mounted');
  await writeFileAtomic(join(stage, ownerName), JSON.stringify(self));
  return { [Symbol.asyncDispose]: async () => await removeTree(stage) };
}

/** The process that is making a backup of the data folder, if there is one. */
export async function findStageOwner(dataDirectory: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  const text = await readFile(join(stageIn(dataDirectory), ownerName), 'utf8').catch(() => '');
  try {
    const owner = ownerSchema.safeParse(JSON.parse(text)).data;
    return owner !== undefined && isRunning(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the stage of a killed backup. Its links would keep space on the disk in use. */
export async function sweepStage(dataDirectory: string): Promise<void> {
  if ((await findStageOwner(dataDirectory)) === undefined) await removeTree(stageIn(dataDirectory));
}
