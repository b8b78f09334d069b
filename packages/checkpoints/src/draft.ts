import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromNode, removeTree, SoulBoxError } from '@soulbox/base';
import { blockBytes, blockCountOf } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import { flush } from './flush.ts';
import { createFollower } from './follower.ts';
import type { Follower } from './follower.ts';
import type { FileDigests, Manifest } from './manifest.ts';
import { manifestFormat } from './manifest.ts';
import { manifestName } from './names.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { writeSealedJson } from './sealed-json.ts';
import type { CheckpointDraft } from './checkpoint-store.ts';

/** Files that are flushed at once. The file system then commits many of them with one journal write. */
const flushesAtOnce = 64;

export interface DraftPlan {
  readonly checkpointId: string;
  /** All layers that its manifest may name. */
  readonly layers: readonly string[];
  /** An existing, empty folder. */
  readonly directory: string;
  /** The path to which `seal` renames it. */
  readonly target: string;
}

export function createDraft(
  { checkpointId, layers, directory, target }: DraftPlan,
  digester: Digester,
  onEnd: () => void,
): CheckpointDraft {
  let follower: Follower | undefined;
  let sealed = false;

  const digest = async (file: PartFile): Promise<FileDigests> => {
    const known = follower?.digestsOf(file) ?? [];
    const end = blockCountOf(file.sizeBytes);
    const rest = await digester.digest(file.path, known.length, end, file.sizeBytes);
    return { sizeBytes: file.sizeBytes, digests: [...known, ...rest] };
  };

  const digestAndFlush = async (files: readonly PartFile[]): Promise<Record<string, FileDigests>> => {
    const parts: Record<string, FileDigests> = {};
    await Promise.all([
      forEachAtOnce(flushesAtOnce, files, async (file) => {
        parts[file.name] = await digest(file);
      }),
      forEachAtOnce(flushesAtOnce, files, (file) => flush(file.path)),
    ]);
    return parts;
  };

  /** Each step is on the disk before the next one starts, so a crash leaves a draft or a complete checkpoint. */
  const publish = async (manifest: Manifest): Promise<void> => {
    await writeSealedJson(join(directory, manifestName), manifest);
    await flush(directory);
    await rename(directory, target);
    sealed = true;
    await flush(dirname(target));
  };

  return {
    checkpointId,
    directory,
    follow(isAppendOnly) {
      follower ??= createFollower(directory, isAppendOnly, digester);
    },
    async seal(facts) {
      // A collection may have removed an unnamed layer.
      const unknown = facts.layers.find((layerId) => !layers.includes(layerId));
      if (unknown !== undefined)
        throw new SoulBoxError('internal', `Layer ${unknown} was not named when the draft began.`);
      try {
        await follower?.stop();
        const parts = await digestAndFlush(await listPartFiles(directory));
        await publish({ format: manifestFormat, stateId: checkpointId, facts, blockBytes, parts, packed: {} });
      } catch (error) {
        throw errorFromNode(error, `Checkpoint "${checkpointId}" could not be written to the disk of the host.`);
      }
      onEnd();
      return await openCheckpoint(checkpointId, target, digester);
    },
    async [Symbol.asyncDispose]() {
      await follower?.stop();
      if (sealed) return;
      await removeTree(directory);
      onEnd();
    },
  };
}
