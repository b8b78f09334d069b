import type { Checkpoint } from '@soulbox/checkpoints';
import type { ArrivingBlocks } from '@soulbox/isolation';
import { createLocalUses } from './local-uses.ts';
import type { LocalUses } from './local-uses.ts';

/** A checkpoint whose memory is still being fetched. Disposed after the restore, which has the CPUs until then. */
export interface ArrivingCheckpoint extends Disposable {
  readonly checkpoint: Checkpoint;
  readonly blocks: ArrivingBlocks;
  /** The blocks that somebody has waited for, in that order, as `PART:INDEX`; at most 256. */
  asked(): readonly string[];
  /** From now on it is fetched as long as the store is away. Called before a sandbox runs on it. */
  keep(): void;
  /** Resolves when all of it is there. Rejects with `storage_damaged`, and when nothing of it is needed any more. */
  readonly whole: Promise<void>;
}

export interface FetchFigures {
  /** Parcels that were fetched since the start of the runner, and their bytes. */
  readonly fetches: number;
  readonly fetchedBytes: number;
  readonly fetchFailures: number;
}

export interface StoredDisk {
  readonly sandboxId: string;
  /** Of the checkpoint that fits it. */
  readonly stateId: string;
  /** The folder of the sandbox. */
  readonly directory: string;
  /** The path of the disk in it. */
  readonly path: string;
}

/**
 * Brings what an object store has of sleeping sandboxes to this host when it is needed. Each call does nothing if it is
 * here, or is not in the store either: whoever opens it then finds out. Concurrent calls share one fetch, and nothing is
 * visible before it is complete and checked. Throws `storage_unavailable` while the store is away, `storage_damaged`,
 * `disk_full`.
 */
export interface StoredCopies {
  checkpoint(checkpointId: string): Promise<void>;
  /**
   * For a restore that can begin without the memory. `firstBlocks`: what an earlier restore has asked for. Undefined: the
   * checkpoint is here as a whole, or nowhere.
   */
  late(checkpointId: string, firstBlocks?: readonly string[]): Promise<ArrivingCheckpoint | undefined>;
  layer(layerId: string): Promise<void>;
  /** The disk of a paused sandbox, in the folder of the sandbox. Returns whether it was fetched. */
  disk(disk: StoredDisk): Promise<boolean>;
  template(templateId: string): Promise<void>;
  /** A version of envd, by the name of its folder. */
  runtime(name: string): Promise<void>;
  /** Whether a part of the checkpoint is still missing here. */
  isArriving(checkpointId: string): boolean;
  /** Stops fetching a checkpoint that is not needed any more. */
  forget(checkpointId: string): void;
  /** Every call above notes a use. */
  readonly uses: LocalUses;
  figures(): FetchFigures;
}

const nothing = async (): Promise<void> => await Promise.resolve();

/** Of a server without an object store. */
export const noStoredCopies: StoredCopies = {
  ...{ checkpoint: nothing, layer: nothing, template: nothing, runtime: nothing },
  disk: async () => await Promise.resolve(false),
  late: async () => await Promise.resolve(undefined),
  isArriving: () => false,
  forget: () => undefined,
  uses: createLocalUses(() => 0),
  figures: () => ({ fetches: 0, fetchedBytes: 0, fetchFailures: 0 }),
};
