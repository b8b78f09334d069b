import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { copyFile, lstat, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLocks, isNodeError, randomId } from '@soulbox/base';
import type { WriteCondition } from '../object-store.ts';
import type { DriverInfo, StoreDriver, Upload, Written } from '../store-driver.ts';
import { StoreFault } from '../store-fault.ts';
import { faultFromDisk } from './faults.ts';
import { createFileLocks } from './file-locks.ts';
import { pathFromKey } from './object-path.ts';
import { readPage } from './read-page.ts';
import { createSortedFolders } from './sorted-folders.ts';
import { walkObjects } from './walk.ts';

export { loadFileLocks } from './file-locks.ts';

/** No object's name begins with a dot. */
const draftPrefix = '.draft-';
/** Several processes may use the folder: only drafts this old belong to none of them. */
const draftMaxAgeMs = 24 * 3600 * 1000;

/**
 * Objects as files below a folder, which is created with mode 0700 if only itself is missing: a typing error must not
 * make a store on another disk. Throws `config_invalid`.
 */
export async function openDiskObjects(root: string): Promise<StoreDriver> {
  const disk = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw faultFromDisk(thrown);
    }
  };
  await disk(async () => {
    await makeRoot(root);
    await removeOldDrafts(root);
  });
  return createDriver(root, disk);
}

async function makeRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { mode: 0o700 });
  } catch (thrown) {
    if (!isNodeError(thrown)) throw thrown;
    if (thrown.code === 'EEXIST' && (await stat(root)).isDirectory()) return;
    const why = thrown.code === 'EEXIST' ? 'is not a folder' : `cannot be made (${thrown.code ?? 'unknown error'})`;
    const text = `The folder ${root} of the store ${why}. Make it, or mount it, and retry.`;
    throw thrown.code === 'ENOSPC' ? thrown : new StoreFault('config_invalid', text, { cause: thrown });
  }
}

type Disk = <T>(work: () => Promise<T>) => Promise<T>;

function createDriver(root: string, disk: Disk): StoreDriver {
  const publish = createPublisher(root);
  const sorted = createSortedFolders(root);
  const pathOf = (key: string): string => join(root, pathFromKey(key));
  const draftPath = (id: string): string => join(root, draftPrefix + id);

  return {
    parts: { maxCount: 1_000_000, maxBytes: 64 * 1024 * 1024, concurrency: 1 },
    checkKey: (key) => void pathFromKey(key),
    putWhole: (key, bytes, { condition }) =>
      disk(async () => {
        const draft = draftPath(randomId(16));
        await using _cleared = clearing(draft);
        await using file = await open(draft, 'wx', 0o600);
        await file.writeFile(bytes);
        await file.sync();
        return await publish(draft, key, condition);
      }),
    startUpload: () =>
      disk(async () => {
        const id = randomId(16);
        await (await open(draftPath(id), 'wx', 0o600)).close();
        return id;
      }),
    putPart: ({ id }, { offset, bytes }) =>
      disk(async () => {
        await using file = await open(draftPath(id), constants.O_WRONLY | constants.O_NOFOLLOW);
        let written = 0;
        while (written < bytes.length)
          written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten;
        return '';
      }),
    finishUpload: ({ key, id }: Upload, { condition }) =>
      disk(async () => {
        {
          await using file = await open(draftPath(id), constants.O_WRONLY | constants.O_NOFOLLOW);
          await file.sync();
        }
        return await publish(draftPath(id), key, condition);
      }),
    dropUpload: ({ id }) => disk(() => rm(draftPath(id), { force: true })),
    open: (key, { range, version }) =>
      disk(async () => {
        const file = await openObject(pathOf(key));
        try {
          const info = infoOf(key, await file.stat({ bigint: true }));
          if (version !== undefined && version !== info.version)
            throw new StoreFault('storage_precondition_failed', 'The object has another version.');
          const start = range?.offset ?? 0;
          if (range !== undefined && start >= info.sizeBytes) throw new StoreFault('range', 'The object ends before.');
          const end = Math.min(info.sizeBytes, start + (range?.length ?? Infinity));
          if (start === end) {
            await file.close();
            return { info, body: noBytes(), close: () => undefined };
          }
          const body = file.createReadStream({ start, end: end - 1, highWaterMark: readBytes });
          return { info, body, close: () => void body.destroy() };
        } catch (thrown) {
          await file.close();
          throw thrown;
        }
      }),
    stat: (key) => disk(() => statObject(key, pathOf(key))),
    delete: (key) => disk(() => publish.remove(key)),
    list: ({ prefix, cursor, limit, combinesFolders }, signal) =>
      disk(async () => {
        const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString();
        const walk = walkObjects(sorted, { prefix, after, limit, combinesFolders }, signal);
        return await readPage(walk, { limit, statOf: (key) => statObject(key, pathOf(key)) });
      }),
    copy: (from, to) =>
      disk(async () => {
        const draft = draftPath(randomId(16));
        await using _cleared = clearing(draft);
        // Without the data where the file system can share them.
        await copyFile(pathOf(from), draft, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        await using file = await open(draft, constants.O_RDWR | constants.O_NOFOLLOW);
        await file.sync();
        const { size } = await file.stat();
        return { ...(await publish(draft, to, undefined)), sizeBytes: size };
      }),
    signGet: () => Promise.reject(unsigned()),
    signPut: () => Promise.reject(unsigned()),
    async [Symbol.asyncDispose]() {
      // Nothing stays open between calls.
    },
  };
}

const readBytes = 256 * 1024;
function unsigned(): StoreFault {
  return new StoreFault('storage_unsupported', 'Local disk has no URLs that could be signed.');
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // An empty object.
}

function clearing(path: string): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}

interface Publisher {
  /** Gives a draft its name, if the condition holds. */
  (draft: string, key: string, condition: WriteCondition | undefined): Promise<Written>;
  remove(key: string): Promise<void>;
}

/** Changes of a name happen one after the other, in all processes, so that a condition holds until the change. */
function createPublisher(root: string): Publisher {
  const inProcess = createLocks();
  const fileLocks = createFileLocks(root);
  const locked = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const shard = createHash('sha256').update(key).digest('hex').slice(0, 2);
    return await inProcess.alone(shard, async () => {
      await using _lock = await fileLocks.take(shard);
      return await work();
    });
  };
  const publish = (draft: string, key: string, condition: WriteCondition | undefined): Promise<Written> =>
    locked(key, async () => {
      const path = join(root, pathFromKey(key));
      await checkCondition(key, path, condition);
      await placeInFolder(root, path, () => rename(draft, path));
      const written = await statObject(key, path);
      if (written === undefined)
        throw new StoreFault('storage_unavailable', 'The object was removed by another program.');
      return { version: written.version };
    });
  const remove = (key: string): Promise<void> =>
    locked(key, async () => {
      const path = join(root, pathFromKey(key));
      await rm(path, { force: true });
      await syncFolder(dirname(path));
      await removeEmptyFolders(root, dirname(path));
    });
  return Object.assign(publish, { remove });
}

async function checkCondition(key: string, path: string, condition: WriteCondition | undefined): Promise<void> {
  if (condition === undefined) return;
  const found = await statObject(key, path);
  const holds = condition === 'absent' ? found === undefined : found?.version === condition.version;
  if (holds) return;
  const text = condition === 'absent' ? 'The object exists already.' : 'The object has another version.';
  throw new StoreFault('storage_precondition_failed', text);
}

/** How often a folder may be removed, because it became empty, between its creation and its first object. */
const placeAttempts = 20;

/** Creates missing folders first, each of them durably. */
async function placeInFolder(root: string, path: string, place: () => Promise<void>): Promise<void> {
  const folder = dirname(path);
  let isNew = false;
  for (let attempt = 1; ; attempt++) {
    isNew = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined || isNew;
    try {
      await place();
      break;
    } catch (error) {
      if (attempt === placeAttempts || !isNodeError(error) || error.code !== 'ENOENT') throw error;
    }
  }
  await syncFolder(folder);
  if (!isNew) return;
  for (let above = dirname(folder); above.length >= root.length; above = dirname(above)) await syncFolder(above);
}

async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let path = folder; path.length > root.length; path = dirname(path)) {
    const isRemoved = await rmdir(path).then(
      () => true,
      () => false,
    );
    if (!isRemoved) return;
  }
}

async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
}

async function openObject(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new StoreFault('storage_not_found', 'There is no such object.');
}

async function statObject(key: string, path: string): Promise<DriverInfo | undefined> {
  try {
    const facts = await lstat(path, { bigint: true });
    return facts.isFile() ? infoOf(key, facts) : undefined;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Each write makes a new file, so its inode and time are new too. */
function infoOf(key: string, { ino, mtimeNs, size }: BigIntStats): DriverInfo {
  const version = `${ino.toString(36)}-${mtimeNs.toString(36)}-${size.toString(36)}`;
  const modifiedAt = new Date(Number(mtimeNs / 1_000_000n));
  return { key, sizeBytes: Number(size), version, modifiedAt, writeId: undefined };
}

async function removeOldDrafts(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(draftPrefix)) continue;
    const path = join(root, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > draftMaxAgeMs) await rm(path, { force: true });
  }
}
