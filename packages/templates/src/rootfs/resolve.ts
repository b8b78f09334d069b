import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';

// The kernel's own limit, path_resolution(7).
const maxLinks = 40;

/**
 * The real location on the host of `path` in a root file system. Symbolic links are followed like by a process chrooted
 * into `rootfs`: absolute ones start at the root, and `..` stops there. So a hostile tree cannot lead outside. The last
 * name need not exist; returns undefined if a folder above it does not. Nothing may change the tree meanwhile.
 */
export async function resolveInRootfs(rootfs: string, path: string): Promise<string | undefined> {
  let done: string[] = [];
  let todo = path.split('/');
  let links = 0;
  while (todo.length > 0) {
    const [name = '', ...rest] = todo;
    todo = rest;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      continue;
    }
    const here = join(rootfs, ...done, name);
    const kind = await kindOf(here);
    if (kind === 'link') {
      links += 1;
      if (links > maxLinks) throw new SoulBoxError('link_loop', `${path} of the image has too many symbolic links.`);
      const target = await readlink(here);
      if (target.startsWith('/')) done = [];
      todo = [...target.split('/'), ...todo];
      continue;
    }
    if (kind === 'missing' && todo.some((part) => part !== '' && part !== '.')) return undefined;
    done.push(name);
  }
  return join(rootfs, ...done);
}

async function kindOf(hostPath: string): Promise<'link' | 'missing' | 'other'> {
  try {
    return (await lstat(hostPath)).isSymbolicLink() ? 'link' : 'other';
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return 'missing';
    if (isNodeError(error) && error.code === 'ENOTDIR') {
      throw new SoulBoxError('not_a_directory', `${dirname(hostPath)} of the image is not a folder.`, { cause: error });
    }
    throw error;
  }
}
