import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { posix } from 'node:path';
import { PassThrough } from 'node:stream';
import { noteCacheUse, randomId, SoulBoxError } from '@soulbox/base';
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
 * tenant's sandboxes. On the host it is an opaque file (docs/decisions/016), encrypted and authenticated by the store. A
 * failure of the cache never fails a run.
 */
export interface DependencyCache {
  /** Unpacks cached dependencies in the sandbox. False: there are none, or they were damaged. */
  restore(wanted: Kept): Promise<boolean>;
  /** Caches the dependencies that the sandbox has installed, unless they are too large. */
  keep(made: Kept): Promise<void>;
}

export interface DependencyCacheOptions {
  /** Throws `state_damaged` for content that was altered. */
  readonly blobs: BlobStore;
  readonly disks: HostRoom;
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
 * A cached archive: `<team>/<key>/<64 random hexadecimal digits>-<time, Unix milliseconds>`. Its name holds all that is
 * known. (Earlier versions had the digest of the content in place of the random digits, and remove what does not match.)
 */
interface Entry {
  readonly blobKey: string;
  readonly createdAtMs: number;
  readonly sizeBytes: number;
}

export function createDependencyCache(options: DependencyCacheOptions): DependencyCache {
  const { blobs, limitBytes, maxAgeMs, clock, logger } = options;

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

  async function unpackOrRemove({ blobKey }: Entry, to: Pick<Kept, 'session' | 'folder' | 'signal'>): Promise<boolean> {
    try {
      return await unpack(blobs, blobKey, to);
    } catch (error) {
      if (!(error instanceof SoulBoxError && error.reason === 'state_damaged')) throw error;
      logger.warn({ blobKey, err: error }, 'cached dependencies were damaged and are removed');
      await blobs.delete(blobKey);
      return false;
    }
  }

  return {
    async restore({ session, key, folder, signal }) {
      try {
        const found = (await entries(`${teamOf(session)}/${key}/`)).find(
          ({ createdAtMs }) => createdAtMs >= clock.now() - maxAgeMs,
        );
        const isHit = found !== undefined && (await unpackOrRemove(found, { session, folder, signal }));
        noteCacheUse('dependencies', isHit);
        return isHit;
      } catch (error) {
        if (signal.aborted) throw error;
        logger.warn({ err: error }, 'cached dependencies could not be used');
      }
      return false;
    },
    async keep({ session, key, folder, names, signal }) {
      const team = teamOf(session);
      const blobKey = `${team}/${key}/${randomBytes(32).toString('hex')}-${clock.now()}`;
      try {
        await whileRoom(options.disks, { what: 'Keeping dependencies', signal }, async (still) => {
          const maxBytes = Math.floor(limitBytes / entryShare);
          await pack(blobs, { blobKey, maxBytes }, { session, folder, names, signal: still });
        });
        await trim(team);
      } catch (error) {
        if (signal.aborted) throw error;
        logger.warn({ err: error }, 'dependencies could not be cached');
      }
    },
  };
}

/** A team id may contain any character, so its digest is used in the blob's key. */
function teamOf({ sandbox }: RunSession): string {
  return createHash('sha256').update(sandbox.record.tenant.teamId).digest('hex').slice(0, 32);
}

function entryOf({ key, sizeBytes }: { key: string; sizeBytes: number }): Entry[] {
  const match = /\/[0-9a-f]{64}-(\d{1,15})$/.exec(key);
  return match === null ? [] : [{ blobKey: key, createdAtMs: Number(match[1]), sizeBytes }];
}

/** Stores an archive of the folders. Stores nothing when there are none, or when it would be larger than `maxBytes`. */
async function pack(
  blobs: BlobStore,
  { blobKey, maxBytes }: { readonly blobKey: string; readonly maxBytes: number },
  { session, folder, names, signal }: Pick<Kept, 'session' | 'folder' | 'names' | 'signal'>,
): Promise<void> {
  const present = await Promise.all(
    names.map(async (name) => {
      const found = await session.files.stat(posix.join(folder, name)).catch(() => undefined);
      return found?.kind === 'folder' ? [name] : [];
    }),
  );
  if (present.flat().length === 0) return;
  const content = new PassThrough();
  // The store reads the error; without a listener it would end the process when the store has not begun to read.
  content.on('error', () => undefined);
  const stop = new AbortController();
  const storing = blobs.put(blobKey, content).then(
    () => undefined,
    (cause: unknown) => {
      stop.abort();
      return cause === notKept ? undefined : { cause };
    },
  );
  const program = {
    command: 'tar',
    args: ['--create', '--file=-', `--directory=${folder}`, '--', ...present.flat()],
    user: session.user,
    timeoutMs: unpackTimeoutMs,
    signal: AbortSignal.any([signal, stop.signal]),
  };
  let size = 0;
  try {
    const { exitCode } = await session.programs.run(program, async (channel, bytes) => {
      if (channel === 'stderr' || stop.signal.aborted) return;
      size += bytes.length;
      if (size > maxBytes) stop.abort();
      else if (!content.write(bytes)) await once(content, 'drain', { signal: stop.signal });
    });
    if (exitCode === 0 && !stop.signal.aborted) content.end();
    else content.destroy(notKept);
  } catch (error) {
    content.destroy(notKept);
    await storing;
    if (!stop.signal.aborted) throw error;
  }
  const failure = await storing;
  if (failure !== undefined) throw new Error('The archive could not be stored.', failure);
}

const notKept = new Error('The archive is not kept.');

/** Throws `state_damaged` for an archive that was altered. Then nothing was unpacked. */
async function unpack(
  blobs: BlobStore,
  blobKey: string,
  { session, folder, signal }: Pick<Kept, 'session' | 'folder' | 'signal'>,
): Promise<boolean> {
  const content = await blobs.read(blobKey);
  if (content === undefined) return false;
  const archive = `/tmp/.soulbox-dependencies-${randomId(16)}`;
  try {
    await session.programs.upload(archive, content, { user: session.user, signal });
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
