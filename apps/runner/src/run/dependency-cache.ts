import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { once } from 'node:events';
import { randomId, removeTree, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { BlobStore } from '@soulbox/storage';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { HostRoom } from '../disk-budget/host-work.ts';
import type { RunSession } from './run-session.ts';

/** The cached folders of one project, and their place in the sandbox. */
export interface Kept {
  readonly session: RunSession;
  /** The key from `prepareProject`. It depends on the team. */
  readonly key: string;
  /** Absolute path of the project. */
  readonly folder: string;
  /** Names of the folders in the project. */
  readonly names: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Installed dependencies that sandboxes of one team share. A tenant made their content, so it is unpacked only in that
 * tenant's sandboxes. On the host it is an opaque file (docs/decisions/016). A failure of the cache never fails a run.
 */
export interface DependencyCache {
  /** Unpacks cached dependencies in the sandbox. False: there are none, or they were damaged. */
  restore(wanted: Kept): Promise<boolean>;
  /** Caches the dependencies that the sandbox has installed, unless they are too large. */
  keep(made: Kept): Promise<void>;
}

export interface DependencyCacheOptions {
  readonly blobs: BlobStore;
  readonly disks: HostRoom;
  /** For incomplete files. It is emptied at the start, and is on the file system of the blobs. */
  readonly scratchDirectory: string;
  /** Limit for one team. */
  readonly limitBytes: number;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One entry may use at most 1/4 of the limit, so that it cannot replace all others. */
const entryShare = 4;
const unpackTimeoutMs = 300_000;

/**
 * A cached archive: `<team>/<key>/<digest of its bytes>-<time, Unix milliseconds>`. Its name holds all that is known.
 */
interface Entry {
  readonly blobKey: string;
  readonly digest: string;
  readonly createdAtMs: number;
  readonly sizeBytes: number;
}

export async function openDependencyCache(options: DependencyCacheOptions): Promise<DependencyCache> {
  const { blobs, scratchDirectory, limitBytes, maxAgeMs, clock, logger } = options;
  await mkdir(scratchDirectory, { recursive: true, mode: 0o700 });
  // The folder itself stays, because it may be encrypted.
  for (const name of await readdir(scratchDirectory)) await removeTree(join(scratchDirectory, name));

  const entries = async (prefix: string): Promise<Entry[]> =>
    (await blobs.list(prefix)).flatMap((info) => entryOf(info)).sort((a, b) => b.createdAtMs - a.createdAtMs);

  /** Removes entries that are too old, and the oldest ones until the rest fits. */
  async function trim(team: string): Promise<void> {
    let total = 0;
    for (const { blobKey, sizeBytes, createdAtMs } of await entries(`${team}/`)) {
      total += sizeBytes;
      if (total > limitBytes || createdAtMs < clock.now() - maxAgeMs) await blobs.delete(blobKey);
    }
  }

  return {
    async restore({ session, key, folder, signal }) {
      try {
        const found = (await entries(`${teamOf(session)}/${key}/`)).find(
          ({ createdAtMs }) => createdAtMs >= clock.now() - maxAgeMs,
        );
        if (found === undefined) return false;
        if (await unpack(blobs, found, session, folder, signal)) return true;
        logger.warn({ blobKey: found.blobKey }, 'cached dependencies were damaged and are removed');
        await blobs.delete(found.blobKey);
      } catch (error) {
        if (signal.aborted) throw error;
        logger.warn({ err: error }, 'cached dependencies could not be used');
      }
      return false;
    },
    async keep({ session, key, folder, names, signal }) {
      const path = join(scratchDirectory, randomId(16));
      try {
        const what = 'Keeping dependencies';
        const digest = await whileRoom(options.disks, { what, signal }, async (still) => {
          return await pack(path, Math.floor(limitBytes / entryShare), { session, folder, names, signal: still });
        });
        if (digest === undefined) return;
        const team = teamOf(session);
        await blobs.putFile(`${team}/${key}/${digest}-${clock.now()}`, path);
        await trim(team);
      } catch (error) {
        if (signal.aborted) throw error;
        logger.warn({ err: error }, 'dependencies could not be cached');
      } finally {
        await rm(path, { force: true });
      }
    },
  };
}

/** A team id may contain any character, so its digest is used in the blob's key. */
function teamOf({ sandbox }: RunSession): string {
  return createHash('sha256').update(sandbox.record.tenant.teamId).digest('hex').slice(0, 32);
}

function entryOf({ key, sizeBytes }: { key: string; sizeBytes: number }): Entry[] {
  const match = /\/([0-9a-f]{64})-(\d{1,15})$/.exec(key);
  if (match === null) return [];
  const [, digest = '', createdAt] = match;
  return [{ blobKey: key, digest, createdAtMs: Number(createdAt), sizeBytes }];
}

/** Writes an archive of the folders to a file of the host. Undefined when it would be larger than `maxBytes`. */
async function pack(
  path: string,
  maxBytes: number,
  { session, folder, names, signal }: Pick<Kept, 'session' | 'folder' | 'names' | 'signal'>,
): Promise<string | undefined> {
  const present = await Promise.all(
    names.map(async (name) => {
      const found = await session.files.stat(posix.join(folder, name)).catch(() => undefined);
      return found?.kind === 'folder' ? [name] : [];
    }),
  );
  if (present.flat().length === 0) return undefined;
  const hash = createHash('sha256');
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  const tooLarge = new AbortController();
  let size = 0;
  const program = {
    command: 'tar',
    args: ['--create', '--file=-', `--directory=${folder}`, '--', ...present.flat()],
    user: session.user,
    timeoutMs: unpackTimeoutMs,
    signal: AbortSignal.any([signal, tooLarge.signal]),
  };
  try {
    const { exitCode } = await session.programs.run(program, async (channel, bytes) => {
      if (channel === 'stderr' || tooLarge.signal.aborted) return;
      size += bytes.length;
      if (size > maxBytes) {
        tooLarge.abort();
        return;
      }
      hash.update(bytes);
      if (!file.write(bytes)) await once(file, 'drain');
    });
    return exitCode === 0 && !tooLarge.signal.aborted ? hash.digest('hex') : undefined;
  } finally {
    const closed = once(file, 'close');
    file.end();
    await closed;
  }
}

/** False when the bytes do not match the digest. Nothing was unpacked then. */
async function unpack(
  blobs: BlobStore,
  { blobKey, digest }: Entry,
  session: RunSession,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const content = await blobs.read(blobKey);
  if (content === undefined) return false;
  const archive = `/tmp/.soulbox-dependencies-${randomId(16)}`;
  try {
    const hash = createHash('sha256');
    await session.programs.upload(archive, hashed(content, hash), { user: session.user, signal });
    if (hash.digest('hex') !== digest) return false;
    const { exitCode, status } = await session.programs.run({
      command: 'tar',
      args: ['--extract', '--no-same-owner', `--file=${archive}`, `--directory=${folder}`],
      user: session.user,
      timeoutMs: unpackTimeoutMs,
      signal,
    });
    if (exitCode !== 0)
      throw new SoulBoxError(
        'dependencies_failed',
        `The cached dependencies could not be unpacked: tar ended with ${status}.`,
      );
    return true;
  } finally {
    content.destroy();
    await session.files.remove(archive).catch(() => undefined);
  }
}

async function* hashed(
  content: AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  for await (const bytes of content) {
    hash.update(bytes);
    yield bytes;
  }
}
