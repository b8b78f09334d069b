import { chmod, link, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, removeTree, SoulBoxError } from '@soulbox/base';
import type { Archive } from './archive/archive.ts';
import { damaged } from './damage.ts';
import { readManifest } from './open-checkpoint.ts';
import type { StorePaths } from './names.ts';
import { manifestName, storePaths } from './names.ts';
import type { CheckpointKeys } from './sealing/checkpoint-keys.ts';

/** Tries for one checkpoint. A concurrent compression or unpack changes its form once. */
const attempts = 5;

/** The folder of blobs beside the checkpoints of a copy. */
const archiveName = 'archive';

export async function linkCheckpoint(
  checkpointId: string,
  from: StorePaths,
  directory: string,
  archive: Pick<Archive, 'copyInto'> | undefined,
  keys: CheckpointKeys,
): Promise<void> {
  const [source, target] = [from.checkpoint(checkpointId), storePaths(directory).checkpoint(checkpointId)];
  const draft = `${target}.tmp`;
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  if ((await readdir(dirname(target))).includes(checkpointId)) return;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    await mkdir(draft, { mode: 0o700 });
    // A driver may have opened the folder to the sandbox's ids.
    await chmod(draft, await modeOf(source, checkpointId));
    await linkFile(join(source, manifestName), join(draft, manifestName), checkpointId);
    if (await linkParts(checkpointId, source, draft, join(directory, archiveName), archive, keys)) {
      await rename(draft, target);
      return;
    }
    await removeTree(draft);
  }
  throw damaged(`A part of checkpoint "${checkpointId}" is missing`);
}

async function modeOf(source: string, checkpointId: string): Promise<number> {
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) throw new SoulBoxError('snapshot_not_found', `Checkpoint "${checkpointId}" was not found.`);
  return found.mode & 0o777;
}

/** False when a part has the other form by now. */
async function linkParts(
  checkpointId: string,
  source: string,
  draft: string,
  archiveDirectory: string,
  archive: Pick<Archive, 'copyInto'> | undefined,
  keys: CheckpointKeys,
): Promise<boolean> {
  const { parts, packed } = await readManifest(checkpointId, draft, keys);
  for (const name of Object.keys(parts).filter((part) => !(part in packed))) {
    if (!(await tryLink(join(source, name), join(draft, name)))) return false;
  }
  if (Object.keys(packed).length === 0) return true;
  const kept = (await archive?.copyInto(archiveDirectory, checkpointId)) ?? new Set();
  return Object.keys(packed).every((name) => kept.has(name));
}

export async function linkLayer(layerId: string, from: StorePaths, to: StorePaths): Promise<void> {
  await mkdir(to.layers, { recursive: true, mode: 0o700 });
  await linkFile(from.layer(layerId), to.layer(layerId), layerId);
  await linkFile(from.layerDigests(layerId), to.layerDigests(layerId), layerId);
}

async function linkFile(path: string, target: string, id: string): Promise<void> {
  if (!(await tryLink(path, target)))
    throw new SoulBoxError('snapshot_not_found', `"${id}" was not found or is incomplete.`);
}

/** False when there is no such file. */
async function tryLink(path: string, target: string): Promise<boolean> {
  try {
    await link(path, target);
    return true;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'EEXIST') return true;
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}
