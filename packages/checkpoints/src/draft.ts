import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromNode, removeTree, SoulBoxError } from '@soulbox/base';
import { blockBytes, blockCountOf } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import { flush } from './flush.ts';
import { Follower } from './follower.ts';
import type { FileDigests, Manifest, CheckpointFacts } from './manifest.ts';
import { manifestFormat } from './manifest.ts';
import { manifestName } from './names.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { writeSealedJson } from './sealed-json.ts';
import type { Checkpoint, CheckpointDraft } from './checkpoint-store.ts';

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

export class Draft implements CheckpointDraft {
  readonly checkpointId: string;
  readonly directory: string;
  readonly #layers: readonly string[];
  readonly #target: string;
  readonly #digester: Digester;
  readonly #onEnd: () => void;
  #follower: Follower | undefined;
  #sealed = false;

  constructor({ checkpointId, layers, directory, target }: DraftPlan, digester: Digester, onEnd: () => void) {
    this.checkpointId = checkpointId;
    this.directory = directory;
    this.#layers = layers;
    this.#target = target;
    this.#digester = digester;
    this.#onEnd = onEnd;
  }

  follow(isAppendOnly: (partName: string) => boolean): void {
    this.#follower ??= new Follower(this.directory, isAppendOnly, this.#digester);
  }

  async seal(facts: CheckpointFacts): Promise<Checkpoint> {
    // A collection may have removed an unnamed layer.
    const unknown = facts.layers.find((layerId) => !this.#layers.includes(layerId));
    if (unknown !== undefined)
      throw new SoulBoxError('internal', `Layer ${unknown} was not named when the draft began.`);
    try {
      await this.#follower?.stop();
      const parts = await this.#digestAndFlush(await listPartFiles(this.directory));
      await this.#publish({ format: manifestFormat, stateId: this.checkpointId, facts, blockBytes, parts, packed: {} });
    } catch (error) {
      throw errorFromNode(error, `Checkpoint "${this.checkpointId}" could not be written to the disk of the host.`);
    }
    this.#onEnd();
    return await openCheckpoint(this.checkpointId, this.#target, this.#digester);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower?.stop();
    if (this.#sealed) return;
    await removeTree(this.directory);
    this.#onEnd();
  }

  async #digestAndFlush(files: readonly PartFile[]): Promise<Record<string, FileDigests>> {
    const parts: Record<string, FileDigests> = {};
    await Promise.all([
      forEachAtOnce(flushesAtOnce, files, async (file) => {
        parts[file.name] = await this.#digest(file);
      }),
      forEachAtOnce(flushesAtOnce, files, (file) => flush(file.path)),
    ]);
    return parts;
  }

  async #digest(file: PartFile): Promise<FileDigests> {
    const known = this.#follower?.digestsOf(file) ?? [];
    const end = blockCountOf(file.sizeBytes);
    const rest = await this.#digester.digest(file.path, known.length, end, file.sizeBytes);
    return { sizeBytes: file.sizeBytes, digests: [...known, ...rest] };
  }

  /** Each step is on the disk before the next one starts, so a crash leaves a draft or a complete checkpoint. */
  async #publish(manifest: Manifest): Promise<void> {
    await writeSealedJson(join(this.directory, manifestName), manifest);
    await flush(this.directory);
    await rename(this.directory, this.#target);
    this.#sealed = true;
    await flush(dirname(this.#target));
  }
}
