import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

/** Without dots and slashes an id can neither leave its folder nor look like a draft. */
const idForm = /^[A-Za-z0-9_-]{1,64}$/;
/** A part is a plain file of the checkpoint's folder. */
const partForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const manifestName = 'manifest.json';
export const layerSuffix = '.img';
export const layerDigestsSuffix = '.json';
/** A folder with this suffix is removed when the store opens. */
export const draftSuffix = '.draft';
/** A checkpoint that is about to be deleted. It is renamed first, so that no reader sees half of it. */
export const removedSuffix = '.removed';

/** The paths in a store's folder. */
export interface StorePaths {
  /** The folder keeps the name `states`, which earlier versions use. */
  readonly checkpoints: string;
  readonly layers: string;
  checkpoint(checkpointId: string): string;
  layer(layerId: string): string;
  layerDigests(layerId: string): string;
}

export function storePaths(directory: string): StorePaths {
  const checkpoints = join(directory, 'states');
  const layers = join(directory, 'layers');
  return {
    checkpoints,
    layers,
    checkpoint: (checkpointId) => join(checkpoints, checkedId(checkpointId)),
    layer: (layerId) => join(layers, checkedId(layerId) + layerSuffix),
    layerDigests: (layerId) => join(layers, checkedId(layerId) + layerDigestsSuffix),
  };
}

export const isId = (text: string): boolean => idForm.test(text);

export const isPartName = (text: string): boolean => partForm.test(text) && text !== manifestName;

function checkedId(id: string): string {
  if (!isId(id)) throw new SoulBoxError('bad_request', `${JSON.stringify(id)} is not the id of a checkpoint or layer.`);
  return id;
}
