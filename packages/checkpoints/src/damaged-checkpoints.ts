import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, removeTree, writeFileAtomic } from '@soulbox/base';
import { isId } from './names.ts';

/** More would only fill the disk: whatever damages so many states damages the next one too. */
const maxKept = 16;

const noteSchema = z.object({
  /** Whose memory it was. */
  sandboxId: z.string(),
  templateId: z.string(),
  foundAtMs: z.number(),
});

/** Why a state was set aside. */
export type DamageNote = z.infer<typeof noteSchema>;

/** A state that turned out to be damaged when a sandbox ran from it already: kept for whoever looks for the reason. */
export interface DamagedState extends DamageNote {
  readonly stateId: string;
  /** Its manifest and parts, as they were found. */
  readonly directory: string;
  readonly sizeBytes: number;
}

/** The folder `damaged` of a data folder: `<stateId>/` and, written before it comes here, `<stateId>.json`. */
export interface DamagedCheckpoints {
  /** Moves a state here; nothing happens when it is not there any more. The oldest goes when there are too many. */
  take(stateId: string, from: string, note: DamageNote): Promise<void>;
  /** Oldest first. */
  list(): Promise<readonly DamagedState[]>;
  /** False when there is none of this id. */
  remove(stateId: string): Promise<boolean>;
  /** Removes those found before this time. Gives their ids. */
  removeOlder(thanMs: number): Promise<readonly string[]>;
}

/** Needs no lock: a server and a command may work with the same folder. */
export function openDamagedCheckpoints(dataDirectory: string): DamagedCheckpoints {
  const folder = join(dataDirectory, 'damaged');
  const directoryOf = (stateId: string): string => join(folder, stateId);
  const noteOf = (stateId: string): string => `${directoryOf(stateId)}.json`;

  const list = async (): Promise<DamagedState[]> => {
    const names = (await readdir(folder).catch(() => [])).filter(isId);
    const states = await Promise.all(names.map(async (stateId) => await describe(stateId)));
    return states.toSorted((one, other) => one.foundAtMs - other.foundAtMs);
  };

  const describe = async (stateId: string): Promise<DamagedState> => {
    const directory = directoryOf(stateId);
    return { ...(await readNote(noteOf(stateId))), stateId, directory, sizeBytes: await sizeOf(directory) };
  };

  const remove = async (stateId: string): Promise<boolean> => {
    if (!isId(stateId) || !(await list()).some((state) => state.stateId === stateId)) return false;
    await removeTree(directoryOf(stateId));
    await rm(noteOf(stateId), { force: true });
    return true;
  };

  const removeAll = async (states: readonly DamagedState[]): Promise<string[]> => {
    for (const { stateId } of states) await remove(stateId);
    return states.map(({ stateId }) => stateId);
  };

  return {
    list,
    remove,
    async take(stateId, from, note) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(noteOf(stateId), `${JSON.stringify(note)}\n`, { durable: true });
      try {
        await rename(from, directoryOf(stateId));
      } catch (error) {
        if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
        if (!(await readdir(folder)).includes(stateId)) await rm(noteOf(stateId), { force: true });
      }
      const kept = await list();
      await removeAll(kept.slice(0, Math.max(0, kept.length - maxKept)));
    },
    async removeOlder(thanMs) {
      return await removeAll((await list()).filter(({ foundAtMs }) => foundAtMs < thanMs));
    },
  };
}

/** Without its note it counts as the oldest, and is the first to go. */
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
