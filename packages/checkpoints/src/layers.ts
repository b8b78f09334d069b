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

export interface Layers {
  /** Ids of all layers of which any file exists. */
  list(): Promise<string[]>;
  seal(layerId: string, known?: readonly string[]): Promise<void>;
  isSealed(layerId: string): Promise<boolean>;
  digestsOf(layerId: string): Promise<FileDigests>;
  verify(layerId: string): Promise<void>;
  flatten(layerIds: readonly string[], layerId: string): Promise<void>;
  remove(layerId: string): Promise<void>;
}

/** The layers of a store. Each is a sparse image. A sealed layer has a file of digests beside it. */
export function createLayers(paths: StorePaths, digester: Digester): Layers {
  /** Checks that have succeeded or are in progress. */
  const checked = new Map<string, Promise<void>>();

  const list = async (): Promise<string[]> => {
    const names = await readdir(paths.layers);
    const ids = [layerSuffix, layerDigestsSuffix].flatMap((suffix) =>
      names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length)),
    );
    return [...new Set(ids)].sort();
  };

  const seal = async (layerId: string, known?: readonly string[]): Promise<void> => {
    try {
      const digests = await digestImage(paths.layer(layerId), digester, known);
      const content = { format: manifestFormat, layerId, blockBytes, ...digests };
      await writeSealedJson(paths.layerDigests(layerId), content);
      await flush(paths.layers);
    } catch (error) {
      throw errorFromNode(error, `Layer ${layerId} could not be written to the disk of the host.`);
    }
    checked.set(layerId, Promise.resolve());
  };

  const verify = async (layerId: string): Promise<void> => {
    const check = checked.get(layerId) ?? checkLayer(layerId, paths, digester);
    checked.set(layerId, check);
    // A failed check is repeated, because the right file may have been put back.
    check.catch(() => checked.delete(layerId));
    await check;
  };

  return {
    list,
    seal,
    async isSealed(layerId) {
      return (await readdir(paths.layers)).includes(basename(paths.layerDigests(layerId)));
    },
    digestsOf: async (layerId) => await readDigests(layerId, paths),
    verify,
    async flatten(layerIds, layerId) {
      const target = paths.layer(layerId);
      if ((await list()).includes(layerId)) throw new SoulBoxError('name_taken', `Layer "${layerId}" already exists.`);
      for (const id of layerIds) await verify(id);
      await flattenImages(
        layerIds.map((id) => paths.layer(id)),
        target,
      );
      await seal(layerId);
    },
    async remove(layerId) {
      checked.delete(layerId);
      await rm(paths.layer(layerId), { force: true });
      await rm(paths.layerDigests(layerId), { force: true });
    },
  };
}

async function checkLayer(layerId: string, paths: StorePaths, digester: Digester): Promise<void> {
  const expected = await readDigests(layerId, paths);
  await verifyImage(`Layer ${layerId}`, paths.layer(layerId), expected, digester);
}

async function readDigests(layerId: string, paths: StorePaths): Promise<FileDigests> {
  const content = await readSealedJson(paths.layerDigests(layerId)).catch((error: unknown) => {
    throw damaged(`The digests of layer ${layerId} cannot be read`, error);
  });
  const parsed = layerSchema.safeParse(content);
  if (!parsed.success || parsed.data.layerId !== layerId)
    throw damaged(`The digests of layer ${layerId} are incomplete, altered or of another layer`);
  return parsed.data;
}
