import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { FuseFs } from '@soulbox/fuse';
import type { Quota } from '../metadata/metadata.ts';
import { createVolumeFs } from '../mount/volume-fs.ts';
import type { VolumeFsOptions } from '../mount/volume-fs.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import type { Volume, VolumeOptions } from '../volume/open.ts';

export interface FreshVolume extends AsyncDisposable {
  readonly data: string;
  readonly volume: Volume;
  readonly fs: Required<FuseFs>;
}

export const noQuota: Quota = { bytes: undefined, inodes: undefined };
export const root = { uid: 0, gid: 0, mode: 0o755 };

/** An empty volume in a new folder, or in `data`. */
export async function makeVolume({
  quota = noQuota,
  data = mkdtempSync(join(tmpdir(), 'soulbox-volume-')),
  ...options
}: { readonly quota?: Quota; readonly data?: string } & VolumeOptions = {}): Promise<FreshVolume> {
  createVolume(data, { id: 'v', quota, root });
  const volume = await openVolume(data, 'v', options);
  return {
    data,
    volume,
    fs: fsOf(volume),
    [Symbol.asyncDispose]: async () => {
      await volume[Symbol.asyncDispose]();
      await removeTree(data);
    },
  };
}

export const fsOf = (volume: Volume, options: Partial<VolumeFsOptions> = {}): Required<FuseFs> =>
  createVolumeFs(volume, { mount: 'm', ttlMs: () => 0, isShared: true, ...options }) as Required<FuseFs>;
