import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';

const mib = 2 ** 20;

/** A separate file system, small enough to be filled. */
export interface HostDisk extends AsyncDisposable {
  readonly path: string;
  freeBytes(): Promise<number>;
  /** Frees the held-back space, because a full disk may have no room for the final checks. */
  releaseCushion(): Promise<void>;
}

const cushionMb = 64;

/** Creates a disk of this many MiB in `folder`, which must not exist and is removed with the disk. */
export async function makeHostDisk(folder: string, sizeMb: number): Promise<HostDisk> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [image, path] = [join(folder, 'image'), join(folder, 'disk')];
  const file = await open(image, 'wx', 0o600);
  await file.truncate(sizeMb * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  await mkdir(path, { mode: 0o700 });
  await run('mount', ['-t', 'ext4', '-o', 'loop,discard', image, path]);
  const cushion = join(path, 'cushion');
  await run('fallocate', ['-l', `${cushionMb}M`, cushion]);
  return {
    path,
    releaseCushion: async () => await rm(cushion),
    async freeBytes() {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
    async [Symbol.asyncDispose]() {
      await run('umount', ['--', path]);
      await rm(folder, { recursive: true });
    },
  };
}
