import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromNode, removeTree, SoulBoxError } from '@soulbox/base';
import { blockKeyBytes } from '@soulbox/keyring/blocks';
import { checkFreed } from './check-freed.ts';
import { blockBytes, blockCountOf } from './digests/digest-job.ts';
import type { Encrypted } from './digests/digest-job.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import { flush } from './flush.ts';
import { createFollower } from './follower.ts';
import type { Follower } from './follower.ts';
import type { FileDigests, Manifest } from './manifest.ts';
import { sealedFormat } from './manifest.ts';
import { manifestName } from './names.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { writeSealedJson } from './sealed-json.ts';
import { partCipher } from './digests/part-cipher.ts';
import { sealManifest } from './sealing/sealed-manifest.ts';
import type { StoreTools } from './store-tools.ts';
import type { CheckpointDraft } from './checkpoint-store.ts';

/** Files that are flushed at once. The file system then commits many of them with one journal write. */
const flushesAtOnce = 64;

export interface DraftPlan {
  readonly checkpointId: string;
  /** All layers that its manifest may name. */
  readonly layers: readonly string[];
  /** Existing, empty folders in memory. */
  readonly directory: string;
  readonly scratch: string;
  /** An existing, empty folder on the disk. */
  readonly sealed: string;
  /** The path to which `seal` renames that. */
  readonly target: string;
}

export function createDraft(
  { checkpointId, layers, directory, scratch, sealed, target }: DraftPlan,
  tools: StoreTools,
  onEnd: () => void,
): CheckpointDraft {
  const { digester, keys } = tools;
  const key = randomBytes(blockKeyBytes);
  let follower: Follower | undefined;
  let isSealed = false;

  const sealBlocks = async (part: PartFile, first: number, end: number, punch: boolean): Promise<Encrypted> => {
    const { name, path, sizeBytes, inode } = part;
    const cipher = partCipher(key, checkpointId, name);
    return await digester.encrypt({ path, target: join(sealed, name), sizeBytes, cipher, inode }, first, end, punch);
  };
  const sealPart = async (part: PartFile): Promise<FileDigests> => {
    const { seals: known, isFreed } = follower?.sealsOf(part) ?? { seals: [], isFreed: false };
    if (isFreed) await checkFreed(part, known.length, digester);
    // A file that was replaced while it was followed may have been longer.
    if (known.length === 0 && follower?.hasRead(part.name) === true) await rm(join(sealed, part.name), { force: true });
    if (part.sizeBytes === 0) await writeFile(join(sealed, part.name), '', { mode: 0o600 });
    const rest = await sealBlocks(part, known.length, blockCountOf(part.sizeBytes), false);
    await flush(join(sealed, part.name));
    return { sizeBytes: part.sizeBytes, digests: [...known, ...rest.seals] };
  };

  const sealParts = async (files: readonly PartFile[]): Promise<Record<string, FileDigests>> => {
    const parts: Record<string, FileDigests> = {};
    await forEachAtOnce(flushesAtOnce, files, async (file) => {
      parts[file.name] = await sealPart(file);
    });
    return parts;
  };

  /** Each step is on the disk before the next one starts, so a crash leaves a draft or a complete checkpoint. */
  const publish = async (manifest: Manifest): Promise<void> => {
    await writeSealedJson(join(sealed, manifestName), await sealManifest(manifest, key, keys));
    await flush(sealed);
    await rename(sealed, target);
    isSealed = true;
    await flush(dirname(target));
  };

  return {
    ...{ checkpointId, directory, scratch },
    follow(isAppendOnly) {
      follower ??= createFollower(
        directory,
        isAppendOnly,
        async (part, first, end) => await sealBlocks(part, first, end, true),
      );
    },
    async seal(facts) {
      // A collection may have removed an unnamed layer.
      const unknown = facts.layers.find((layerId) => !layers.includes(layerId));
      if (unknown !== undefined)
        throw new SoulBoxError('internal', `Layer ${unknown} was not named when the draft began.`);
      try {
        await follower?.stop();
        const parts = await sealParts(await listPartFiles(directory));
        await publish({ format: sealedFormat, stateId: checkpointId, facts, blockBytes, parts, packed: {} });
      } catch (error) {
        throw errorFromNode(error, `Checkpoint "${checkpointId}" could not be written to the disk of the host.`);
      }
      onEnd();
      return await openCheckpoint(checkpointId, target, tools);
    },
    async [Symbol.asyncDispose]() {
      await follower?.stop();
      key.fill(0);
      for (const folder of [directory, scratch]) tools.clear.drop(folder);
      if (isSealed) return;
      await removeTree(sealed);
      onEnd();
    },
  };
}
