import { constants } from 'node:fs';
import { chmod, lchown, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { isNodeError, randomId, SoulBoxError } from '@soulbox/base';
import { resolveInRootfs } from './resolve.ts';

// Account files are a few KiB; a larger one in an image would only fill our memory.
const maxFileBytes = 1024 * 1024;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}
const root: Owner = { uid: 0, gid: 0 };

/** Reads a small regular file of an untrusted root file system; undefined if it is missing. */
export async function readRootfsFile(rootfs: string, path: string): Promise<string | undefined> {
  const hostPath = await resolveInRootfs(rootfs, path);
  if (hostPath === undefined) return undefined;
  try {
    // O_NONBLOCK: opening a fifo must not wait for a writer.
    const file = await open(hostPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > maxFileBytes) {
        throw new SoulBoxError('bad_path', `${path} of the image is not a regular file of at most 1 MiB.`);
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file of an untrusted root file system. An existing file is replaced, never written through. */
export async function writeRootfsFile(
  rootfs: string,
  path: string,
  content: string,
  mode: number,
  owner: Owner = root,
): Promise<void> {
  const hostPath = await resolveInRootfs(rootfs, path);
  if (hostPath === undefined) throw new SoulBoxError('bad_path', `The folder of ${path} is missing in the image.`);
  const temporary = `${hostPath}.${randomId(8)}`;
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
  try {
    await rename(temporary, hostPath);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new SoulBoxError('bad_path', `${path} of the image cannot be replaced.`, { cause: error });
  }
}

/** Creates a folder and its parents. An existing folder keeps its mode and owner. */
export async function makeRootfsDirectory(
  rootfs: string,
  path: string,
  mode: number,
  owner: Owner = root,
): Promise<void> {
  const parts = path.split('/').filter((part) => part !== '');
  for (const [index] of parts.entries()) {
    const part = `/${parts.slice(0, index + 1).join('/')}`;
    const hostPath = await resolveInRootfs(rootfs, part);
    if (hostPath === undefined) throw new SoulBoxError('bad_path', `${part} of the image is a dangling link.`);
    const last = index === parts.length - 1;
    try {
      await mkdir(hostPath);
      await chmod(hostPath, last ? mode : 0o755);
      if (last) await lchown(hostPath, owner.uid, owner.gid);
    } catch (error) {
      if (!isNodeError(error) || error.code !== 'EEXIST') throw error;
      if (!(await lstat(hostPath)).isDirectory()) {
        throw new SoulBoxError('not_a_directory', `${part} of the image is not a folder.`, { cause: error });
      }
    }
  }
}

/** Whether the path leads to a file or folder within the root file system. */
export async function existsInRootfs(rootfs: string, path: string): Promise<boolean> {
  const hostPath = await resolveInRootfs(rootfs, path);
  return hostPath !== undefined && (await lstat(hostPath).then(Boolean, () => false));
}
