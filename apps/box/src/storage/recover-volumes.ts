import { join } from 'node:path';
import { errorFromUnknown } from '@soulbox/base';
import { openDiskReserve, openSqliteRecords, recordsFileName } from '@soulbox/storage';
import type { VolumeRecords } from '@soulbox/storage';
import type { SealedObjects } from '@soulbox/vault';
import { createGenerations, createPacks, fetchBlocks, restoreVolume } from '@soulbox/volumes/stored';
import type { Generation } from '@soulbox/volumes/stored';
import { volumesDirectoryIn } from '../data-folder.ts';
import type { Lost } from './find-lost.ts';

/** A volume, and when it was like this. */
export interface RecoveredVolume {
  readonly id: string;
  readonly asOf: string;
}

export interface VolumeRecovery {
  readonly objects: SealedObjects;
  /** `keyOfRole(…, 'volumes')`. */
  readonly key: Uint8Array;
  readonly dataDirectory: string;
  /** Fetches all blocks, and not only those that are read later. */
  readonly fetchesBlocks: boolean;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface RecoveredVolumes {
  readonly volumes: readonly RecoveredVolume[];
  readonly lost: readonly Lost[];
  /** What is older than the newest generation, or has blocks that are missing. */
  readonly warnings: readonly string[];
}

/** Of one volume. Any other error ends the recovery, which can then be tried again. */
const partErrors: ReadonlySet<string> = new Set(['storage_damaged', 'storage_not_found', 'state_incompatible']);

/** Brings back all volumes that the recovered records know, each as its newest generation that can be read has it. */
export async function recoverVolumes(options: VolumeRecovery): Promise<RecoveredVolumes> {
  const { objects, key, dataDirectory, onStep, signal } = options;
  const generations = createGenerations(objects, key);
  const stored = await generations.list(signal);
  const volumes: RecoveredVolume[] = [];
  const lost: Lost[] = [];
  const warnings: string[] = [];
  for (const { id, isUsed } of await listVolumes(dataDirectory)) {
    const numbers = stored.get(id) ?? [];
    // The server makes its folder with its first use.
    if (numbers.length === 0 && !isUsed) continue;
    if (numbers.length === 0) {
      lost.push({
        what: 'volume',
        id,
        reason: 'Nothing of it was uploaded: its first upload had not finished.',
      });
      continue;
    }
    onStep(`volume ${id}`);
    let reason = '';
    let restored: Generation | undefined;
    for (const number of numbers.toReversed()) {
      try {
        restored = await generations.get(id, number, signal);
        if (restored === undefined) continue;
        await restoreOne(options, restored);
        break;
      } catch (thrown) {
        const error = errorFromUnknown(thrown);
        if (!partErrors.has(error.reason)) throw thrown;
        [reason, restored] = [error.message, undefined];
      }
    }
    if (restored === undefined) {
      lost.push({ what: 'volume', id, reason: reason === '' ? 'It is not in the store any more.' : reason });
      continue;
    }
    const asOf = new Date(restored.atMs).toISOString();
    volumes.push({ id, asOf });
    if (reason !== '') warnings.push(`The volume ${id} is older than what was uploaded last (${asOf}). ${reason}`);
    if (restored.missingBlocks > 0)
      warnings.push(`The volume ${id} has ${restored.missingBlocks} blocks that could not be read on the lost host.`);
  }
  return { volumes, lost, warnings };
}

async function restoreOne(options: VolumeRecovery, generation: Generation): Promise<void> {
  const { objects, key, dataDirectory, fetchesBlocks, signal } = options;
  const packs = createPacks(objects, key);
  const { teamId, groupId } = generation;
  const data = join(volumesDirectoryIn(dataDirectory), teamId, groupId);
  const named = await restoreVolume({ packs, generation, data, signal });
  if (fetchesBlocks) await fetchBlocks({ packs, group: groupId, data, named, signal });
}

async function listVolumes(dataDirectory: string): ReturnType<VolumeRecords['listAll']> {
  const reserve = openDiskReserve(join(dataDirectory, 'reserve'));
  const records = openSqliteRecords(join(dataDirectory, recordsFileName), { reserve });
  await using _records = records;
  return await records.volumes.listAll();
}
