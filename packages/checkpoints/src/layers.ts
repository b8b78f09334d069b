import { readdir, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { SoulBoxError, errorFromNode } from '@soulbox/base';
import { damaged } from './damage.ts';
import { blockBytes } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { digestImage, verifyImage } from './disk-digests.ts';
import { flattenImages } from './flatten/flatten.ts';
import { flush } from './flush.ts';
import type { FileDigests } from './manifest.ts';
import { fileDigestsSchema, manifestFormat } from './manifest.ts';
import type { StorePaths } from './names.ts';
import { layerDigestsSuffix, layerSuffix } from './names.ts';
import { readSealedJson, writeSealedJson } from './sealed-json.ts';

const layerSchema = fileDigestsSchema.extend({
  format: z.literal(manifestFormat),
  layerId: z.string(),
  blockBytes: z.literal(blockBytes),
});

/** The layers of a store. Each is a sparse image. A sealed layer has a file of digests beside it. */
export class Layers {
  readonly #paths: StorePaths;
  readonly #digester: Digester;
  /** Checks that have succeeded or are in progress. */
  readonly #checked = new Map<string, Promise<void>>();

  constructor(paths: StorePaths, digester: Digester) {
    this.#paths = paths;
    this.#digester = digester;
  }

  /** Ids of all layers of which any file exists. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#paths.layers);
    const ids = [layerSuffix, layerDigestsSuffix].flatMap((suffix) =>
      names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length)),
    );
    return [...new Set(ids)].sort();
  }

  async seal(layerId: string): Promise<void> {
    try {
      const digests = await digestImage(this.#paths.layer(layerId), this.#digester);
      const content = { format: manifestFormat, layerId, blockBytes, ...digests };
      await writeSealedJson(this.#paths.layerDigests(layerId), content);
      await flush(this.#paths.layers);
    } catch (error) {
      throw errorFromNode(error, `Layer ${layerId} could not be written to the disk of the host.`);
    }
    this.#checked.set(layerId, Promise.resolve());
  }

  async isSealed(layerId: string): Promise<boolean> {
    return (await readdir(this.#paths.layers)).includes(basename(this.#paths.layerDigests(layerId)));
  }

  async verify(layerId: string): Promise<void> {
    const check = this.#checked.get(layerId) ?? this.#check(layerId);
    this.#checked.set(layerId, check);
    // A failed check is repeated, because the right file may have been put back.
    check.catch(() => this.#checked.delete(layerId));
    await check;
  }

  async flatten(layerIds: readonly string[], layerId: string): Promise<void> {
    const target = this.#paths.layer(layerId);
    if ((await this.list()).includes(layerId))
      throw new SoulBoxError('name_taken', `Layer "${layerId}" already exists.`);
    for (const id of layerIds) await this.verify(id);
    await flattenImages(
      layerIds.map((id) => this.#paths.layer(id)),
      target,
    );
    await this.seal(layerId);
  }

  async remove(layerId: string): Promise<void> {
    this.#checked.delete(layerId);
    await rm(this.#paths.layer(layerId), { force: true });
    await rm(this.#paths.layerDigests(layerId), { force: true });
  }

  async #check(layerId: string): Promise<void> {
    const expected = await this.#readDigests(layerId);
    await verifyImage(`Layer ${layerId}`, this.#paths.layer(layerId), expected, this.#digester);
  }

  async #readDigests(layerId: string): Promise<FileDigests> {
    const content = await readSealedJson(this.#paths.layerDigests(layerId)).catch((error: unknown) => {
      throw damaged(`The digests of layer ${layerId} cannot be read`, error);
    });
    const parsed = layerSchema.safeParse(content);
    if (!parsed.success || parsed.data.layerId !== layerId)
      throw damaged(`The digests of layer ${layerId} are incomplete, altered or of another layer`);
    return parsed.data;
  }
}
