import { existsSync } from 'node:fs';
import { readdir, rename, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { lockRotation } from '@soulbox/keyring';
import { listCopiedVolumes, recordsFileName } from '@soulbox/storage';
import { claimStage, readCpuType, stageIn } from '@soulbox/runner';
import { controlDirectoryIn } from '../data-folder.ts';
import { emptyFolder, flushFolder, openTarget } from './folders.ts';
import type { Backup, BackupPart } from './manifest.ts';
import { formatOf, writeBackupManifest } from './manifest.ts';
import { writePart } from './part-file.ts';
import { findSavers, list, planParts } from './plan-parts.ts';
import type { PlannedPart } from './plan-parts.ts';
import { claimVolumeStage, takeVolumeStage } from './volume-stage.ts';

/** What the server has saved, or has left out and why. */
export interface StagedPart {
  readonly what: Backup['leftOut'][number]['what'];
  readonly id: string;
  readonly leftOut?: string;
}

export interface CreateBackup {
  readonly dataDirectory: string;
  readonly templatesDirectory: string;
  /** Must be missing or empty. */
  readonly target: string;
  /** Makes the server fill the stage. */
  readonly fillStage: (report: (staged: StagedPart) => void) => Promise<void>;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Space that a backup leaves free on the server's own disk. Equals the default reserve for sandboxes (decision 019).
 */
const reserveBytes = 512 * 2 ** 20;
const reserveShare = 0.02;

/**
 * Makes a backup in `target`: one file for each part, and finally the manifest, which marks the backup as complete.
 * After a failure nothing remains. Throws `disk_full`, `bad_path` for a target that is not empty, and
 * `illegal_transition` while another backup is being made or the master key is being rotated.
 */
export async function createBackup(options: CreateBackup): Promise<Backup> {
  const { dataDirectory, target, fillStage, onStep, signal } = options;
  await using _stage = await claimStage(dataDirectory);
  await using _volumes = await claimVolumeStage(dataDirectory);
  // Otherwise the records could need a master key that is removed before the keys are copied.
  await using _rotation = await lockRotation(dataDirectory);
  await openTarget(target);
  try {
    const leftOut: Backup['leftOut'] = [];
    const saved = new Set<string>();
    onStep('saving sandboxes');
    await fillStage(({ what, id, leftOut: reason }) => {
      if (reason !== undefined) leftOut.push({ what, id, reason });
      else if (what === 'volume') saved.add(id);
      onStep(reason === undefined ? `saved ${what} ${id}` : `left out ${what} ${id}: ${reason}`);
    });
    await takeControlStage(dataDirectory);
    leftOut.push(...listForgottenVolumes(stageIn(dataDirectory), leftOut, saved));
    const volumeStage = await takeVolumeStage(dataDirectory);
    const folders = { ...options, stage: stageIn(dataDirectory), volumeStage };
    const planned = await planParts(folders);
    await checkRoom(options, planned);
    const backup: Backup = {
      format: formatOf(leftOut),
      createdAtMs: Date.now(),
      cpuType: await readCpuType(),
      savers: await findSavers(folders.stage),
      sandboxCount: (await list(folders.stage, 'sandboxes')).length,
      snapshotCount: (await list(folders.stage, 'snapshots')).length,
      volumeCount: saved.size,
      leftOut,
      parts: await writeParts(planned, target, onStep, signal),
    };
    signal.throwIfAborted();
    await flushFolder(target);
    await writeBackupManifest(target, backup);
    await flushFolder(target);
    return backup;
  } catch (error) {
    await emptyFolder(target);
    throw error;
  }
}

/**
 * Moves what the control plane has staged into the stage of the runner: a backup has the form of a data folder without
 * its links.
 */
async function takeControlStage(dataDirectory: string): Promise<void> {
  const own = join(controlDirectoryIn(dataDirectory), 'backup-stage');
  for (const name of await readdir(own)) await rename(join(own, name), join(stageIn(dataDirectory), name));
}

/** A server of an earlier version, which is not restarted yet, does not speak of volumes. */
function listForgottenVolumes(
  stage: string,
  leftOut: Backup['leftOut'],
  saved: ReadonlySet<string>,
): Backup['leftOut'] {
  const records = join(stage, recordsFileName);
  if (!existsSync(records)) return [];
  const isNamed = (volumeId: string): boolean =>
    saved.has(volumeId) || leftOut.some(({ what, id }) => what === 'volume' && id === volumeId);
  return listCopiedVolumes(records)
    .filter(({ id, isUsed, isCopying }) => isUsed && !isCopying && !isNamed(id))
    .map(({ id }) => ({ what: 'volume', id, reason: 'The server saves no volumes. Restart it with this version.' }));
}

async function writeParts(
  planned: readonly PlannedPart[],
  target: string,
  onStep: (text: string) => void,
  signal: AbortSignal,
): Promise<BackupPart[]> {
  const parts: BackupPart[] = [];
  for (const [index, { source, ...part }] of planned.entries()) {
    onStep(`${index + 1} of ${planned.length}: ${part.name}`);
    parts.push({ ...part, ...(await writePart(source, join(target, part.file), signal)) });
  }
  return parts;
}

/**
 * A backup on the server's own disk must not take space that was promised to sandboxes. On another disk, a full disk
 * ends the backup.
 */
async function checkRoom({ dataDirectory, target }: CreateBackup, planned: readonly PlannedPart[]): Promise<void> {
  if ((await stat(target)).dev !== (await stat(dataDirectory)).dev) return;
  const needBytes = planned.reduce((sum, { contentBytes }) => sum + contentBytes, 0);
  const { bavail, bsize, blocks } = await statfs(target);
  if (bavail * bsize - needBytes >= Math.max(reserveBytes, blocks * bsize * reserveShare)) return;
  throw new SoulBoxError(
    'disk_full',
    `The backup can take up to ${Math.ceil(needBytes / 2 ** 20)} MiB, but the disk of the server does not have that much space. Choose a target on another disk.`,
  );
}
