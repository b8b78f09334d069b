import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromNode } from '@soulbox/base';
import type { BlobStore } from '@soulbox/storage';
import { blockBytes } from '../digests/digest-job.ts';
import type { Digester } from '../digests/digester.ts';
import { flush } from '../flush.ts';
import type { Manifest } from '../manifest.ts';
import { draftSuffix, manifestName } from '../names.ts';
import { openCheckpoint, readManifest } from '../open-checkpoint.ts';
import { writeSealedJson } from '../sealed-json.ts';
import type { Checkpoint } from '../checkpoint-store.ts';
import type { PackedPart } from './packed-part.ts';
import { packPart, readBlocks, unpackPart } from './packed-part.ts';

/** Smaller parts are not worth a blob. */
const minPartBytes = blockBytes;
/** A part stays raw unless its packed form is smaller by this share. */
const minSaving = 0.1;

const keyPrefix = 'states/';
const keyOf = (checkpointId: string, name: string): string => `${keyPrefix}${checkpointId}/${name}.zst`;

/**
 * Keeps large parts of checkpoints as compressed blobs. The manifest names the valid form of each part. It is replaced
 * atomically, and only when the other form is complete, checked and on the disk. `sweep` removes invalid forms that a
 * crash leaves behind.
 */
export class Archive {
  readonly #blobs: BlobStore;
  readonly #digester: Digester;

  constructor(blobs: BlobStore, digester: Digester) {
    this.#blobs = blobs;
    this.#digester = digester;
  }

  /** When `signal` aborts, this throws and the checkpoint is unchanged. */
  async compress(checkpoint: Checkpoint, signal: AbortSignal): Promise<Checkpoint> {
    const { checkpointId, manifest, directory } = checkpoint;
    const worthIt = (name: string): boolean =>
      (manifest.parts[name]?.sizeBytes ?? 0) >= minPartBytes && !(name in manifest.packed);
    await checkpoint.verify(worthIt);
    const packed = { ...manifest.packed };
    const names = Object.keys(manifest.parts).filter(worthIt);
    try {
      for (const name of names) {
        const sizeBytes = await this.#pack(partOf(manifest, name), join(directory, name), signal);
        if (sizeBytes !== undefined) packed[name] = { sizeBytes };
      }
      signal.throwIfAborted();
    } catch (error) {
      for (const name of names) await this.#blobs.delete(keyOf(checkpointId, name));
      throw error;
    }
    await this.#replaceManifest(directory, { ...manifest, packed });
    for (const name of Object.keys(packed)) await rm(join(directory, name), { force: true });
    return await openCheckpoint(checkpointId, directory, this.#digester);
  }

  async unpack(checkpoint: Checkpoint): Promise<Checkpoint> {
    const { checkpointId, manifest, directory } = checkpoint;
    for (const name of Object.keys(manifest.packed)) {
      const path = join(directory, name);
      await unpackPart(this.#blobs, partOf(manifest, name), path).catch(async (error: unknown) => {
        await rm(path, { force: true });
        throw errorFromNode(error, `Checkpoint "${checkpointId}" could not be unpacked.`);
      });
    }
    await this.#replaceManifest(directory, { ...manifest, packed: {} });
    await this.remove(checkpointId);
    return await openCheckpoint(checkpointId, directory, this.#digester);
  }

  /** Copies the blobs of a checkpoint into `directory`. Gives the names of the copied parts. */
  async copyInto(directory: string, checkpointId: string): Promise<ReadonlySet<string>> {
    const keys = await this.#blobs.copyInto(directory, `${keyPrefix}${checkpointId}/`);
    return new Set(keys.map((key) => (key.split('/')[2] ?? '').replace(/\.zst$/, '')));
  }

  /** Removes the blobs of a checkpoint. */
  async remove(checkpointId: string): Promise<void> {
    for (const { key } of await this.#blobs.list(`${keyPrefix}${checkpointId}/`)) await this.#blobs.delete(key);
  }

  /**
   * Removes forms of parts that the manifests do not name as valid. A checkpoint with an unreadable manifest keeps both
   * forms.
   */
  async sweep(directories: ReadonlyMap<string, string>): Promise<void> {
    for (const { key } of await this.#blobs.list(keyPrefix)) {
      const checkpointId = key.split('/')[1] ?? '';
      if (!directories.has(checkpointId)) await this.#blobs.delete(key);
    }
    for (const [checkpointId, directory] of directories) {
      const manifest = await readManifest(checkpointId, directory).catch(() => undefined);
      if (manifest !== undefined) await this.#sweepCheckpoint(manifest, directory);
    }
  }

  async #sweepCheckpoint({ stateId: checkpointId, packed }: Manifest, directory: string): Promise<void> {
    for (const name of Object.keys(packed)) await rm(join(directory, name), { force: true });
    const counted = new Set(Object.keys(packed).map((name) => keyOf(checkpointId, name)));
    for (const { key } of await this.#blobs.list(`${keyPrefix}${checkpointId}/`)) {
      if (!counted.has(key)) await this.#blobs.delete(key);
    }
  }

  /**
   * Writes the blob, reads it back to compare it, and gives its size. Undefined without a blob if it saves too little.
   */
  async #pack(part: PackedPart, path: string, signal: AbortSignal): Promise<number | undefined> {
    const sizeBytes = await packPart(this.#blobs, part, path, signal);
    if (sizeBytes > part.raw.sizeBytes * (1 - minSaving)) {
      await this.#blobs.delete(part.key);
      return undefined;
    }
    for await (const _block of readBlocks(this.#blobs, part)) signal.throwIfAborted();
    return sizeBytes;
  }

  /** The draft is written outside the folder. Inside, the leftover of a crash would look like a part. */
  async #replaceManifest(directory: string, manifest: Manifest): Promise<void> {
    const draft = `${directory}.manifest${draftSuffix}`;
    await flush(directory);
    await writeSealedJson(draft, manifest);
    await rename(draft, join(directory, manifestName));
    await flush(directory);
  }
}

function partOf({ stateId: checkpointId, parts }: Manifest, name: string): PackedPart {
  const raw = parts[name];
  if (raw === undefined) throw new Error(`checkpoint "${checkpointId}" packs ${name}, which is not a part`);
  return { what: `${name} of checkpoint "${checkpointId}"`, key: keyOf(checkpointId, name), raw };
}
