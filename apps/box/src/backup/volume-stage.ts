import { lstat, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, removeTree } from '@soulbox/base';
import { findStageOwner, stageIn } from '@soulbox/runner/stage-folder';
import { stagedVolumesName, volumeStageName } from '@soulbox/volumes/stage-folder';
import { volumesDirectoryIn } from '../data-folder.ts';
import { checkFolder, checkGroup, readFolder } from './volume-tree.ts';

/** Where the volume service collects what a backup takes. The user of that service owns it. */
export const volumeStageIn = (dataDirectory: string): string =>
  join(volumesDirectoryIn(dataDirectory), volumeStageName);

/** In the stage of the backup, which only root reaches. */
const takenIn = (dataDirectory: string): string => join(stageIn(dataDirectory), 'of-volumes');

/** Removes what a killed backup has left. Disposing removes what this one has. The caller has claimed the other stage. */
export async function claimVolumeStage(dataDirectory: string): Promise<AsyncDisposable> {
  const remove = async (): Promise<void> => await removeTree(volumeStageIn(dataDirectory));
  await remove();
  return { [Symbol.asyncDispose]: remove };
}

/**
 * Takes what the volume service has collected out of its reach. Returns where it is: on another file system than the data
 * folder it stays in its place.
 */
export async function takeVolumeStage(dataDirectory: string): Promise<string> {
  const [from, to] = [volumeStageIn(dataDirectory), takenIn(dataDirectory)];
  try {
    await rename(from, to);
    return to;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'EXDEV')) return from;
    throw error;
  }
}

/**
 * Called when a server starts, before `user` gets the volumes: removes what a killed backup has left. Files with a link in
 * the stage would keep their owner, so if that changes, a backup that goes on loses its stage too.
 */
export async function sweepVolumeStage(dataDirectory: string, user: number): Promise<void> {
  const owner = await lstat(volumesDirectoryIn(dataDirectory)).catch(ignoreMissing);
  if (owner === undefined) return;
  if (owner.uid === user && (await findStageOwner(dataDirectory)) !== undefined) return;
  await removeTree(volumeStageIn(dataDirectory));
  await removeTree(takenIn(dataDirectory));
}

export interface StagedGroup {
  readonly groupId: string;
  /** Its folder, in the stage and in a data folder. */
  readonly name: string;
}

/** The groups with a complete volume. Throws `internal` if the stage has what the volume service does not make. */
export async function listStagedGroups(stage: string): Promise<StagedGroup[]> {
  const groups: StagedGroup[] = [];
  if ((await lstat(stage).catch(ignoreMissing)) === undefined) return groups;
  await checkFolder(stage);
  if ((await lstat(join(stage, stagedVolumesName)).catch(ignoreMissing)) === undefined) return groups;
  for (const teamId of await readFolder(join(stage, stagedVolumesName)))
    for (const groupId of await readFolder(join(stage, stagedVolumesName, teamId))) {
      const name = join(stagedVolumesName, teamId, groupId);
      if ((await checkGroup(join(stage, name))).length > 0) groups.push({ groupId, name });
    }
  return groups;
}

function ignoreMissing(error: unknown): undefined {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
}
