import { lstatSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandError, run } from '@soulbox/base';
import { clearFolder } from './names.ts';

/** The runner admits saves and restores by the memory that is free. This bounds what one of them can take by surprise. */
const size = 'size=50%';
/**
 * The best first. `noswap` (Linux 6.4): nothing of it gets to a disk for swapping. Huge pages make writes eight times as
 * fast.
 */
const options = ['noswap,huge=within_size', 'noswap', 'huge=within_size', ''];
const timeoutMs = 10_000;

/**
 * Mounts a file system in memory at `clearFolder`, if there is none, and returns its path. It stays when the server ends,
 * because a restore may still use it.
 */
export async function openClearFolder(instance: number): Promise<string> {
  const path = clearFolder(instance);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (isMounted(path)) return path;
  for (const [index, option] of options.entries()) {
    try {
      const list = ['mode=0700', size, 'nosuid', 'nodev', 'noexec', ...(option === '' ? [] : [option])].join(',');
      await run('mount', ['--no-mtab', '-t', 'tmpfs', '-o', list, 'soulbox', path], { timeoutMs });
      return path;
    } catch (error) {
      if (!(error instanceof CommandError) || index === options.length - 1) throw error;
    }
  }
  return path;
}

export async function closeClearFolder(instance: number): Promise<void> {
  const path = clearFolder(instance);
  if (isMounted(path)) await run('umount', ['--lazy', '--', path], { timeoutMs });
}

/** By the device, and not by the list of mounts: one there can be hidden below another mount. */
function isMounted(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.dev !== lstatSync(dirname(path)).dev;
}
