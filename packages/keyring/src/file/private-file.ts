import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isNodeError, randomId, SoulBoxError } from '@soulbox/base';

/** A file of keys is small. Bytes. */
const fileMaxBytes = 64 * 1024;

/**
 * A file that only its owner may read. The folder that contains it and the file itself are opened without following
 * links: root writes to a folder of the control plane, which has no privileges.
 */
export interface PrivateFile {
  /** Undefined if there is none. Throws `config_invalid` for a file that others may read, and for a link. */
  read(): Promise<string | undefined>;
  /**
   * Replaces it atomically. Owner: that of the old file, otherwise that of the folder. A new folder gets the owner of the
   * folder above. It is on the disk when this returns. With `isNew` it throws `file_exists` instead of replacing a file.
   */
  write(text: string, options?: { readonly isNew?: boolean }): Promise<void>;
}

export function privateFile(path: string, shownAs = path): PrivateFile {
  const name = basename(path);
  const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants;

  const openFolder = async (): Promise<FileHandle> => await open(dirname(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const inside = (folder: FileHandle, entry: string): string => join('/proc/self/fd', String(folder.fd), entry);

  /** Calls `work` with the file, or with undefined if there is none. */
  const withFile = async <T>(
    folder: FileHandle,
    work: (file: FileHandle | undefined, stats: Stats | undefined) => Promise<T>,
  ): Promise<T> => {
    const file = await open(inside(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
      if (isNodeError(error) && error.code === 'ENOENT') return undefined;
      if (isNodeError(error) && error.code === 'ELOOP') throw refused('is a link');
      throw error;
    });
    try {
      return await work(file, await file?.stat());
    } finally {
      await file?.close();
    }
  };

  const read = async (): Promise<string | undefined> => {
    const folder = await openFolder();
    try {
      return await withFile(folder, async (file, stats) => {
        if (file === undefined || stats === undefined) return undefined;
        if (!stats.isFile() || stats.size > fileMaxBytes) throw refused('is not a file of keys');
        if ((stats.mode & 0o077) !== 0) throw refused('can be read by other users: use "chmod 600"');
        return await file.readFile('utf8');
      });
    } finally {
      await folder.close();
    }
  };

  const refused = (what: string): SoulBoxError =>
    new SoulBoxError('config_invalid', `The file of master keys ${shownAs} ${what}.`);

  return {
    async read() {
      try {
        return await read();
      } catch (error) {
        if (error instanceof SoulBoxError || !isNodeError(error)) throw error;
        if (error.code === 'ENOENT') return undefined;
        throw new SoulBoxError(
          'config_invalid',
          `The file of master keys ${shownAs} cannot be read: ${error.code ?? ''}. The user of the control plane must own it, and may have to enter the folders above it (docs/secrets.md).`,
          { cause: error },
        );
      }
    },
    async write(text, { isNew = false } = {}) {
      const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const folder = await openFolder();
      try {
        // Whichever part of the server is first, the control plane must be able to enter its folder.
        if (made === dirname(path)) await giveTo(folder, await stat(dirname(made)));
        const owner = await withFile(folder, async (_, stats) => stats ?? (await folder.stat()));
        const temporary = inside(folder, `${name}.${randomId(12)}.tmp`);
        const file = await open(temporary, 'wx', 0o600);
        try {
          try {
            await file.writeFile(text);
            await giveTo(file, owner);
            await file.sync();
          } finally {
            await file.close();
          }
          if (isNew) await link(temporary, inside(folder, name));
          await (isNew ? rm(temporary) : rename(temporary, inside(folder, name)));
        } catch (error) {
          await rm(temporary, { force: true });
          if (!isNodeError(error) || error.code !== 'EEXIST') throw error;
          throw new SoulBoxError('file_exists', `${shownAs} exists. It may have the only master key of a server.`);
        }
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

async function giveTo(file: FileHandle, { uid, gid }: Pick<Stats, 'uid' | 'gid'>): Promise<void> {
  if (process.geteuid?.() === 0) await file.chown(uid, gid);
}
