import { createHash, randomBytes } from 'node:crypto';
import {
  constants,
  copyFile as copyFileCallback,
  fdatasync as fdatasyncCallback,
  mkdirSync,
  read as readCallback,
  readSync,
  statfsSync,
  write as writeCallback,
  writeSync,
} from 'node:fs';
import { open, opendir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isNodeError } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import { blockId } from './block-names.ts';
import type { BlockStore } from './block-store.ts';
import { createOpenFiles } from './open-files.ts';

const copyFile = promisify(copyFileCallback);
const fdatasync = promisify(fdatasyncCallback);

const kib = 1024;
const mib = 1024 * kib;
/** Reads and writes up to this size do not leave the event loop: the page cache answers faster than another thread. */
const atOnceBytes = 128 * kib;
const openFilesMax = 256;
/** Flushes at the same time. The pool of threads has others to serve. */
const flushesAtOnce = 2;
/** Below this, the disk takes no new data: deletes and the metadata need some. */
const keptFreeBytes = 64 * mib;
/** How much is written before the free space of the disk is asked for again, and how long an answer stands. */
const trustedBytes = 8 * mib;
const trustedMs = 1000;
const digestBufferBytes = 256 * kib;

/** Blocks as files `<folder>/<first two digits>/<name>`. */
export function openDiskBlocks(folder: string): BlockStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const known = new Set<string>();
  const files = createOpenFiles(openFilesMax);
  let dirty = new Set<string>();
  let newIn = new Set<string>();
  let room = { bytes: 0, until: 0 };

  const pathOf = (name: string): string => blockPath(folder, name);
  const makeFolder = (name: string): void => {
    const prefix = name.slice(0, 2);
    if (known.has(prefix)) return;
    if (mkdirSync(join(folder, prefix), { recursive: true, mode: 0o700 }) !== undefined) newIn.add(folder);
    known.add(prefix);
  };
  /** Named by `newName` and not written yet. */
  const fresh = new Set<string>();
  /** After the bytes: a flush that began before them does not count for them. */
  const noteWritten = (name: string, isNew: boolean): void => {
    dirty.add(name);
    if (isNew) newIn.add(join(folder, name.slice(0, 2)));
  };
  const free = (): number => {
    const { bavail, bsize } = statfsSync(folder);
    return Math.max(0, bavail * bsize - keptFreeBytes);
  };

  return {
    newName() {
      const name = randomBytes(16).toString('hex');
      makeFolder(name);
      fresh.add(name);
      return name;
    },
    write(name, data, offset) {
      const isNew = fresh.delete(name);
      try {
        if (data.length > atOnceBytes)
          return files
            .use(pathOf(name), isNew, (fd) => writeInPool(fd, data, offset))
            .then(() => {
              noteWritten(name, isNew);
            }, throwTranslated);
        files.use(pathOf(name), isNew, (fd) => {
          writeAll(fd, data, offset);
        });
        noteWritten(name, isNew);
      } catch (thrown) {
        throwTranslated(thrown);
      }
    },
    read(name, target, offset) {
      try {
        if (target.length <= atOnceBytes) {
          files.use(pathOf(name), false, (fd) => {
            readAll(fd, target, offset);
          });
          return;
        }
        return files.use(pathOf(name), false, (fd) => readInPool(fd, target, offset)).catch(throwTranslated);
      } catch (thrown) {
        throwTranslated(thrown);
      }
    },
    async copy(from, to, length) {
      try {
        fresh.delete(to);
        await copyFile(pathOf(from), pathOf(to), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
        const { size } = await stat(pathOf(to));
        if (size < length) throw new FuseError('EIO', `Block ${from} is shorter than ${length} bytes.`);
        noteWritten(to, true);
      } catch (thrown) {
        throwTranslated(thrown);
      }
    },
    async sync() {
      const names = [...dirty];
      const folders = [...newIn];
      dirty = new Set();
      newIn = new Set();
      try {
        await inTurns(names, async (name) => {
          try {
            await files.use(pathOf(name), false, (fd) => fdatasync(fd));
          } catch (thrown) {
            // Deleted since it was written.
            if (!isNodeError(thrown) || thrown.code !== 'ENOENT') throw thrown;
          }
        });
        await inTurns(folders, async (path) => {
          await using handle = await open(path, 'r');
          await handle.sync();
        });
      } catch (thrown) {
        for (const name of names) dirty.add(name);
        for (const path of folders) newIn.add(path);
        throwTranslated(thrown);
      }
    },
    async remove(names) {
      for (const name of names) {
        files.forget(pathOf(name));
        dirty.delete(name);
        fresh.delete(name);
      }
      await inTurns(names, async (name) => {
        await rm(pathOf(name), { force: true }).catch(() => undefined);
      });
    },
    async digest(name, length) {
      try {
        await using file = await open(pathOf(name), constants.O_RDONLY | constants.O_NOFOLLOW);
        const hash = createHash('sha256');
        const buffer = Buffer.allocUnsafe(Math.min(digestBufferBytes, length));
        for (let position = 0; position < length;) {
          const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - position), position);
          if (bytesRead === 0) return undefined;
          hash.update(buffer.subarray(0, bytesRead));
          position += bytesRead;
        }
        return hash.digest();
      } catch (thrown) {
        if (isNodeError(thrown) && thrown.code === 'ENOENT') return undefined;
        throw thrown;
      }
    },
    async *list() {
      for await (const sub of await opendir(folder)) {
        if (!/^[0-9a-f]{2}$/.test(sub.name)) continue;
        for await (const { name } of await opendir(join(folder, sub.name))) {
          const found = await stat(join(folder, sub.name, name)).catch(() => undefined);
          if (found !== undefined && /^[0-9a-f]{32}$/.test(name))
            yield { name, bytes: found.size, usedAtMs: Math.max(found.mtimeMs, found.atimeMs) };
        }
      }
    },
    checkRoom(bytes) {
      const now = performance.now();
      if (room.bytes < bytes || now > room.until) {
        const left = free();
        if (left < bytes) throw new FuseError('ENOSPC', 'The disk of the host is full.');
        room = { bytes: Math.min(left, Math.max(trustedBytes, bytes)), until: now + trustedMs };
      }
      room.bytes -= bytes;
    },
    freeBytes: free,
    close: () => {
      files.close();
    },
  };
}

/** The file of a block. */
export function blockPath(folder: string, name: string): string {
  const id = blockId(name);
  return join(folder, id.slice(0, 2), id);
}

function throwTranslated(thrown: unknown): never {
  if (thrown instanceof FuseError) throw thrown;
  const code = isNodeError(thrown) ? thrown.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') throw new FuseError('ENOSPC', 'The disk of the host is full.');
  throw new FuseError('EIO', `A block cannot be read or written: ${String(thrown)}`);
}

function writeAll(fd: number, data: Uint8Array, offset: number): void {
  for (let done = 0; done < data.length;) done += writeSync(fd, data, done, data.length - done, offset + done);
}

async function writeInPool(fd: number, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length;)
    done += await new Promise<number>((resolve, reject) => {
      writeCallback(fd, data, done, data.length - done, offset + done, (error, written) => {
        if (error === null) resolve(written);
        else reject(error);
      });
    });
}

function readAll(fd: number, target: Buffer, offset: number): void {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, offset + done);
    if (count === 0) throw new FuseError('EIO', 'A block is shorter than its metadata say.');
    done += count;
  }
}

async function readInPool(fd: number, target: Buffer, offset: number): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const count = await new Promise<number>((resolve, reject) => {
      readCallback(fd, target, done, target.length - done, offset + done, (error, bytes) => {
        if (error === null) resolve(bytes);
        else reject(error);
      });
    });
    if (count === 0) throw new FuseError('EIO', 'A block is shorter than its metadata say.');
    done += count;
  }
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const turn = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: flushesAtOnce }, turn));
}
