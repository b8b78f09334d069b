import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { runConfined } from './confined.ts';

/**
 * Unpacks a tar file (also gzip, xz, zstd) to `<scratch>/rootfs`. bsdtar opens the file, then makes the folder its root
 * by chroot before it extracts: whatever names, links and hard links contain, they cannot refer to anything outside. It
 * refuses names with `..` and entries whose path contains a link, and the import then fails with its message.
 */
export async function unpackTar(
  file: string,
  scratch: string,
  options: { what: string; timeoutMs: number; onProgress: (step: string) => void; logger: Logger },
): Promise<string> {
  await access(file, constants.R_OK).catch((error: unknown) => {
    throw new SoulBoxError('file_not_found', `${file} cannot be read.`, { cause: error });
  });
  const rootfs = join(scratch, 'rootfs');
  await mkdir(rootfs);
  options.onProgress('unpacking the archive');
  await runConfined('bsdtar', ['-x', '-p', '--numeric-owner', '--chroot', '-f', file, '-C', rootfs], {
    ...options,
    scratch,
    reads: [file],
  });
  return rootfs;
}
