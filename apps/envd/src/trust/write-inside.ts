import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Larger bundles are not ours to change. Debian's has 220 KB. */
const readMaxBytes = 4 * 1024 * 1024;

/**
 * Replaces a file. No link is followed, in no part of the path: each folder is opened from the one before, so that a user
 * who may change a folder (E2B's template opens /usr/local to all) cannot lead the write elsewhere, not even by a swap in
 * between. With `makes`, the last folder is created. False if a folder is missing or is a link, and if a folder has the
 * file's name.
 */
export async function writeInside(
  path: string,
  content: string | Uint8Array,
  options = { makes: false },
): Promise<boolean> {
  return (
    (await inFolderOf(path, options.makes, async (folder, name) => {
      const draft = `${folder}/.soulbox-${randomBytes(8).toString('hex')}`;
      try {
        await writeDraft(draft, content);
        // It replaces a link instead of following it.
        await rename(draft, `${folder}/${name}`);
        return true;
      } catch (error) {
        await unlink(draft).catch(() => undefined);
        if (isNodeError(error) && error.code === 'EISDIR') return false;
        throw error;
      }
    })) ?? false
  );
}

async function writeDraft(draft: string, content: string | Uint8Array): Promise<void> {
  await using file = await open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  await file.writeFile(content);
}

/** The text of a regular file, found without following links. Undefined if there is none, or if it is too large. */
export async function readInside(path: string): Promise<string | undefined> {
  return await inFolderOf(path, false, async (folder, name) => {
    const file = await open(`${folder}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(undefinedIfUnusable);
    if (file === undefined) return undefined;
    await using opened = file;
    const stats = await opened.stat();
    return stats.isFile() && stats.size <= readMaxBytes ? await opened.readFile('utf8') : undefined;
  });
}

async function inFolderOf<Result>(
  path: string,
  makes: boolean,
  work: (folder: string, name: string) => Promise<Result>,
): Promise<Result | undefined> {
  const parts = path.split('/').filter((part) => part !== '');
  const name = parts.pop() ?? '';
  let folder = await open('/', O_RDONLY | O_DIRECTORY);
  try {
    for (const [index, part] of parts.entries()) {
      const next = `/proc/self/fd/${folder.fd}/${part}`;
      if (makes && index === parts.length - 1) await mkdir(next, 0o755).catch(ignoreExisting);
      const opened = await openFolder(next);
      if (opened === undefined) return undefined;
      await folder.close();
      folder = opened;
    }
    return await work(`/proc/self/fd/${folder.fd}`, name);
  } finally {
    await folder.close();
  }
}

async function openFolder(path: string): Promise<FileHandle | undefined> {
  return await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(undefinedIfUnusable);
}

/** Missing, a link, or not a folder. */
function undefinedIfUnusable(error: unknown): undefined {
  if (isNodeError(error) && ['ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO', 'EMLINK'].includes(error.code ?? ''))
    return undefined;
  throw error;
}

function ignoreExisting(error: unknown): void {
  if (!isNodeError(error) || error.code !== 'EEXIST') throw error;
}
