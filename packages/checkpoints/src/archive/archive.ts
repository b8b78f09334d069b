import { createHash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromNode } from '@soulbox/base';
import type { BlobStore } from '@soulbox/storage';
import { blockBytes } from '../digests/digest-job.ts';
import { flush } from '../flush.ts';
import type { Manifest } from '../manifest.ts';
import { draftSuffix, manifestName } from '../names.ts';
import { openCheckpoint, readManifest } from '../open-checkpoint.ts';
import { writeSealedJson } from '../sealed-json.ts';
import { partCipher } from '../digests/part-cipher.ts';
import { sealManifest } from '../sealing/sealed-manifest.ts';
import type { StoreTools } from '../store-tools.ts';
import type { Checkpoint } from '../checkpoint-store.ts';
import type { PackedPart } from './packed-part.ts';
import { packPart, readBlocks, unpackPart } from './packed-part.ts';

/** Smaller parts are not worth a blob. */
const minPartBytes = blockBytes;
/** A part stays raw unless its packed form is smaller by this share. */
const minSaving = 0.1;

const keyPrefix = 'states/';
const keyOf = (checkpointId: string, name: string): string => `${keyPrefix}${checkpointId}/${name}.zst`;

export interface Archive {
  /** When `signal` aborts, this throws and the checkpoint is unchanged. */
  compress(checkpoint: Checkpoint, signal: AbortSignal): Promise<Checkpoint>;
  unpack(checkpoint: Checkpoint): Promise<Checkpoint>;
  /** Copies the blobs of a checkpoint into `directory`. Gives the names of the copied parts. */
  copyInto(directory: string, checkpointId: string): Promise<ReadonlySet<string>>;
  /** Removes the blobs of a checkpoint. */
  remove(checkpointId: string): Promise<void>;
  /**
   * Removes forms of parts that the manifests do not name as valid. A checkpoint with an unreadable manifest keeps both
   * forms.
   */
  sweep(directories: ReadonlyMap<string, string>): Promise<void>;
}

/**
 * Keeps large parts of checkpoints as compressed blobs. The manifest names the valid form of each part. It is replaced
 * atomically, and only when the other form is complete, checked and on the disk. `sweep` removes invalid forms that a
 * crash leaves behind.
 */
export function createArchive(blobs: BlobStore, tools: StoreTools): Archive {
  const remove = async (checkpointId: string): Promise<void> => {
    for (const { key } of await blobs.list(`${keyPrefix}${checkpointId}/`)) await blobs.delete(key);
  };

  return {
    async compress(checkpoint, signal) {
      const { checkpointId, manifest, directory, key } = checkpoint;
      const worthIt = (name: string): boolean =>
        (manifest.parts[name]?.sizeBytes ?? 0) >= minPartBytes && !(name in manifest.packed);
      const packed = { ...manifest.packed };
      const names = Object.keys(manifest.parts).filter(worthIt);
      try {
        for (const name of names) {
          const found = await pack(blobs, partOf(manifest, name, key), join(directory, name), signal);
          if (found !== undefined) packed[name] = key === undefined ? { sizeBytes: found.sizeBytes } : found;
        }
        signal.throwIfAborted();
      } catch (error) {
        for (const name of names) await blobs.delete(keyOf(checkpointId, name));
        throw error;
      }
      await replaceManifest(directory, { ...manifest, packed }, key, tools);
      for (const name of Object.keys(packed)) await rm(join(directory, name), { force: true });
      return await openCheckpoint(checkpointId, directory, tools);
    },
    async unpack({ checkpointId, manifest, directory, key }) {
      const parts = { ...manifest.parts };
      for (const [name, { seals }] of Object.entries(manifest.packed)) {
        const path = join(directory, name);
        parts[name] = await unpackPart(blobs, partOf(manifest, name, key), seals, path).catch(
          async (error: unknown) => {
            await rm(path, { force: true });
            throw errorFromNode(error, `Checkpoint "${checkpointId}" could not be unpacked.`);
          },
        );
      }
      await replaceManifest(directory, { ...manifest, parts, packed: {} }, key, tools);
      await remove(checkpointId);
      return await openCheckpoint(checkpointId, directory, tools);
    },
    async copyInto(directory, checkpointId) {
      const keys = await blobs.copyInto(directory, `${keyPrefix}${checkpointId}/`);
      return new Set(keys.map((key) => (key.split('/')[2] ?? '').replace(/\.zst$/, '')));
    },
    remove,
    async sweep(directories) {
      for (const { key } of await blobs.list(keyPrefix)) {
        const checkpointId = key.split('/')[1] ?? '';
        if (!directories.has(checkpointId)) await blobs.delete(key);
      }
      for (const [checkpointId, directory] of directories) {
        const manifest = await readManifest(checkpointId, directory, tools.keys).catch(() => undefined);
        if (manifest !== undefined) await sweepCheckpoint(blobs, manifest, directory);
      }
    },
  };
}

async function sweepCheckpoint(
  blobs: BlobStore,
  { stateId: checkpointId, packed }: Manifest,
  directory: string,
): Promise<void> {
  for (const name of Object.keys(packed)) await rm(join(directory, name), { force: true });
  const counted = new Set(Object.keys(packed).map((name) => keyOf(checkpointId, name)));
  for (const { key } of await blobs.list(`${keyPrefix}${checkpointId}/`)) {
    if (!counted.has(key)) await blobs.delete(key);
  }
}

/**
 * Writes the blob, reads it back to compare it, and gives its size. Undefined without a blob if it saves too little.
 */
async function pack(
  blobs: BlobStore,
  part: PackedPart,
  path: string,
  signal: AbortSignal,
): Promise<{ sizeBytes: number; seals: string[] } | undefined> {
  const { sizeBytes, seals, digest } = await packPart(blobs, part, path, signal);
  if (sizeBytes > part.raw.sizeBytes * (1 - minSaving)) {
    await blobs.delete(part.key);
    return undefined;
  }
  const found = createHash('sha256');
  for await (const block of readBlocks(blobs, part, seals)) {
    signal.throwIfAborted();
    found.update(block);
  }
  if (found.digest('hex') !== digest) throw new Error(`${part.what} was not compressed correctly`);
  return { sizeBytes, seals: [...seals] };
}

/** The draft is written outside the folder. Inside, the leftover of a crash would look like a part. */
async function replaceManifest(
  directory: string,
  manifest: Manifest,
  key: Uint8Array | undefined,
  { keys }: StoreTools,
): Promise<void> {
  const draft = `${directory}.manifest${draftSuffix}`;
  await flush(directory);
  await writeSealedJson(draft, key === undefined ? manifest : await sealManifest(manifest, key, keys));
  await rename(draft, join(directory, manifestName));
  await flush(directory);
}

function partOf({ stateId: checkpointId, parts }: Manifest, name: string, key: Uint8Array | undefined): PackedPart {
  const raw = parts[name];
  if (raw === undefined) throw new Error(`checkpoint "${checkpointId}" packs ${name}, which is not a part`);
  // Blobs have names that no part has.
  const ciphers =
    key === undefined
      ? undefined
      : { raw: partCipher(key, checkpointId, name), packed: partCipher(key, checkpointId, `/packed/${name}`) };
  return { what: `${name} of checkpoint "${checkpointId}"`, key: keyOf(checkpointId, name), raw, ciphers };
}
