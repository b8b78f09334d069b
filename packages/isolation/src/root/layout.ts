import { join } from 'node:path';
import { rootsFolder, traceName } from '../host/names.ts';

/** Where a driver keeps the parts of a sandbox's root. All names follow from id and instance number alone. */
export interface RootLayout {
  /**
   * The sparse file with the ext4 of this sandbox; its name contains id and instance, so that a loop device can be
   * matched to its sandbox.
   */
  readonly image: string;
  /** The image, mounted with the sandbox's id mapping. Layers and template are mounted beside it. */
  readonly disk: string;
  /**
   * The overlay of disk, layers and template: the sandbox's root. It is outside of `directory`, because the sandbox's
   * root user must reach it and may not enter the data folder.
   */
  readonly rootfs: string;
  /** The first content of the image; removed once the image is created, because it contains the host token. */
  readonly skeleton: string;
  /** The loop device's counters from before this sandbox got it. */
  readonly diskOrigin: string;
  /**
   * The generation of a restore whose processes have run on the disk, or may have: see ran-again.ts. Stays beside a
   * kept disk.
   */
  readonly ranMark: string;
}

/** Folders and files in the root of the image. */
export const diskFolders = {
  upper: 'u',
  work: 'w',
  empty: 'empty',
  etc: 'etc',
  run: 'run',
} as const;

export function rootLayoutOf(instance: number, sandboxId: string, directory: string): RootLayout {
  return {
    image: join(directory, traceName(instance, sandboxId) + imageSuffix),
    disk: join(directory, 'disk'),
    rootfs: join(rootsFolder(instance), sandboxId),
    skeleton: join(directory, 'skeleton'),
    diskOrigin: join(directory, 'disk-origin'),
    ranMark: join(directory, ranMarkName),
  };
}

export const imageSuffix = '.img';
export const ranMarkName = 'ran';
