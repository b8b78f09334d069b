import { closeSync, openSync } from 'node:fs';
import { createMemoryFs, negotiateMount, serve } from '@soulbox/fuse';
import type { FuseFs } from '@soulbox/fuse';
import { createFuseMount } from '@soulbox/linux/mount-objects';

export { createMemoryFs };

/** The mount of a FUSE file system in memory, which this process serves. It is mounted nowhere. */
export interface MemoryVolume extends AsyncDisposable {
  /** An open descriptor of the mount, until `release`. */
  readonly mount: number;
  /** Closes the descriptor. The file system stays as long as the mount has a place. */
  release(): void;
  /** When the mount is gone, wherever it was. */
  readonly closed: Promise<void>;
}

export interface MemoryVolumeOptions {
  /** What `mountinfo` shows as the source. */
  readonly source: string;
  readonly isReadOnly?: boolean;
  /** Several mounts can have the same files. Default: new ones. */
  readonly files?: FuseFs;
}

/** Makes such a mount with `/dev/fuse`. Needs root. Disposing it waits until its mounts elsewhere are gone. */
export async function openMemoryVolume(options: MemoryVolumeOptions): Promise<MemoryVolume> {
  const { source, isReadOnly = false, files = createMemoryFs() } = options;
  const device = openSync('/dev/fuse', 'r+');
  const mount = createFuseMount({ device, source, isReadOnly });
  const negotiated = await negotiateMount(device, { locks: true });
  const { closed } = await serve(files, { fd: device, negotiated, isTakeover: false });
  let isOpen = true;
  const release = (): void => {
    if (isOpen) closeSync(mount);
    isOpen = false;
  };
  return {
    mount,
    release,
    closed,
    [Symbol.asyncDispose]: async () => {
      release();
      await closed;
    },
  };
}
