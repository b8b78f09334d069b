import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, removeTree, writeFileAtomic } from '@soulbox/base';
import { isId } from './names.ts';

/** More would only fill the disk: a cause that damages so many checkpoints damages the next one, too. */
const maxKept = 16;

const noteSchema = z.object({
  /** The sandbox that had this memory. */
  sandboxId: z.string(),
  templateId: z.string(),
  foundAtMs: z.number(),
});

/** Why a checkpoint was set aside. */
export type DamageNote = z.infer<typeof noteSchema>;

/** A checkpoint whose damage was found after a sandbox had started from it. It is kept for an analysis. */
export interface DamagedCheckpoint extends DamageNote {
  readonly checkpointId: string;
  /** Folder with its unchanged manifest and parts. */
  readonly directory: string;
  readonly sizeBytes: number;
}

/** The folder `damaged` of a data folder. `<checkpointId>.json` is written before `<checkpointId>/` is moved there. */
export interface DamagedCheckpoints {
  /** Moves a checkpoint here. Does nothing when it is missing. Removes the oldest when there are too many. */
  take(checkpointId: string, from: string, note: DamageNote): Promise<void>;
  /** Oldest first. */
  list(): Promise<readonly DamagedCheckpoint[]>;
  /** False when there is none with this id. */
  remove(checkpointId: string): Promise<boolean>;
  /** Removes those that were found before this time. Gives their ids. */
  removeOlder(thanMs: number): Promise<readonly string[]>;
}

/** Needs no lock. A server and a command may use the same folder. */
export function openDamagedCheckpoints(dataDirectory: string): DamagedCheckpoints {
  const folder = join(dataDirectory, 'damaged');
  const directoryOf = (checkpointId: string): string => join(folder, checkpointId);
  const noteOf = (checkpointId: string): string => `${directoryOf(checkpointId)}.json`;

  const list = async (): Promise<DamagedCheckpoint[]> => {
    const names = (await readdir(folder).catch(() => [])).filter(isId);
    const checkpoints = await Promise.all(names.map(async (checkpointId) => await describe(checkpointId)));
    return checkpoints.toSorted((one, other) => one.foundAtMs - other.foundAtMs);
  };

  const describe = async (checkpointId: string): Promise<DamagedCheckpoint> => {
    const directory = directoryOf(checkpointId);
    return {
      ...(await readNote(noteOf(checkpointId))),
      checkpointId,
      directory,
      sizeBytes: await sizeOf(directory),
    };
  };

  const remove = async (checkpointId: string): Promise<boolean> => {
    if (!isId(checkpointId) || !(await list()).some((checkpoint) => checkpoint.checkpointId === checkpointId))
      return false;
    await removeTree(directoryOf(checkpointId));
    await rm(noteOf(checkpointId), { force: true });
    return true;
  };

  const removeAll = async (checkpoints: readonly DamagedCheckpoint[]): Promise<string[]> => {
    for (const { checkpointId } of checkpoints) await remove(checkpointId);
    return checkpoints.map(({ checkpointId }) => checkpointId);
  };

  return {
    list,
    remove,
    async take(checkpointId, from, note) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(noteOf(checkpointId), `${JSON.stringify(note)}\n`, { durable: true });
      try {
        await rename(from, directoryOf(checkpointId));
      } catch (error) {
        if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
        if (!(await readdir(folder)).includes(checkpointId)) await rm(noteOf(checkpointId), { force: true });
      }
      const kept = await list();
      await removeAll(kept.slice(0, Math.max(0, kept.length - maxKept)));
    },
    async removeOlder(thanMs) {
      return await removeAll((await list()).filter(({ foundAtMs }) => foundAtMs < thanMs));
    },
  };
}

/** Without a readable note it counts as the oldest, and is removed first. */
async function readNote(path: string): Promise<DamageNote> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return { sandboxId: '', templateId: '', foundAtMs: 0 };
  }
}

async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
