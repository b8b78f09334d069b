import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCacheFigures, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { sealBlobs } from '@soulbox/keyring';
import { openDiskBlobs } from '@soulbox/storage';
import type { BlobStore } from '@soulbox/storage';
import type { DiskFigures } from '../disk-budget/budget.ts';
import { createDependencyCache } from './dependency-cache.ts';
import type { DependencyCache, Kept } from './dependency-cache.ts';
import type { RunSession } from './run-session.ts';

const hour = 3_600_000;
let cleanup: AsyncDisposableStack;
let blobs: BlobStore;
let cache: DependencyCache;
let nowMs: number;
let blobsDirectory: string;
/** Whether the host's disk has room. */
let hasRoom: boolean;
let heldBytes: number;
/** The unpacked content with the team of the sandbox. */
let unpacked: string[];

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-dependencies-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  blobsDirectory = join(folder, 'blobs');
  const root = { id: '0'.repeat(32), key: randomBytes(32) };
  const onDisk = await openDiskBlobs({ directory: blobsDirectory });
  blobs = cleanup.use(sealBlobs(onDisk, { store: 'dependencies', root, mayBeReadable: false }));
  nowMs = 1_800_000_000_000;
  unpacked = [];
  [hasRoom, heldBytes] = [true, 0];
  const disks = {
    admit: (bytes: number): Disposable => {
      if (!hasRoom) throw new SoulBoxError('disk_full', 'There is no room.');
      heldBytes += bytes;
      return { [Symbol.dispose]: () => void (heldBytes -= bytes) };
    },
    figures: () => ({ freeBytes: Infinity, reserveBytes: 0, committedBytes: heldBytes }) as DiskFigures,
  };
  const options = { disks, limitBytes: 4000, maxAgeMs: hour, clock: { now: () => nowMs }, logger: silentLogger };
  cache = createDependencyCache({ blobs, ...options });
});
afterEach(() => cleanup.disposeAsync());

/** A sandbox of a team in which `tar` outputs `content`, and which records the archives that it gets. */
function sessionOf(teamId: string, content = ''): RunSession {
  return {
    sandbox: { record: { tenant: { teamId } } },
    user: 'user',
    files: { stat: () => Promise.resolve({ kind: 'folder' }), remove: () => Promise.resolve() },
    programs: {
      run: async (
        { args }: { args: readonly string[] },
        onOutput?: (channel: string, bytes: Uint8Array) => Promise<void>,
      ) => {
        if (args[0] === '--create') await onOutput?.('stdout', Buffer.from(content));
        return { exitCode: 0, status: 'exit status 0' };
      },
      upload: async (_path: string, bytes: AsyncIterable<Uint8Array>) => {
        unpacked.push(`${teamId}: ${(await buffer(bytes)).toString()}`);
      },
    },
  } as unknown as RunSession;
}

const signal = new AbortController().signal;
const wanted = (session: RunSession, key = 'same project'.replace(' ', '-')): Kept => ({
  ...{ session, key, folder: '/home/user/p', names: ['node_modules'], signal },
});

it('dependencies are cached while there is room for them on the host, and a run continues without', async () => {
  const during: number[] = [];
  const session = sessionOf('ours', 'our packages');
  const run = session.programs.run.bind(session.programs);
  session.programs.run = async (...given) => {
    during.push(heldBytes);
    return await run(...given);
  };
  hasRoom = false;
  await cache.keep(wanted(session));
  expect([await blobs.list(''), during]).toEqual([[], []]);
  hasRoom = true;
  await cache.keep(wanted(session));
  expect(await blobs.list('')).toHaveLength(1);
  expect([during, heldBytes]).toEqual([[256 * 2 ** 20], 0]);
});

describe('cached dependencies', () => {
  it('are used by sandboxes of the same team', async () => {
    await cache.keep(wanted(sessionOf('ours', 'our packages')));
    expect(await cache.restore(wanted(sessionOf('ours')))).toBe(true);
    expect(unpacked).toEqual(['ours: our packages']);
  });

  // The project part of the key is the same for two teams with the same lock file.
  it.each(['theirs', 'our', 'ours ', 'OURS', 'ours/', '../ours', ''])(
    'are never given to the team %j with the same project',
    async (teamId) => {
      await cache.keep(wanted(sessionOf('ours', 'our packages, with what we put in')));
      expect(await cache.restore(wanted(sessionOf(teamId)))).toBe(false);
      expect(unpacked).toEqual([]);
      await cache.keep(wanted(sessionOf(teamId, 'poison')));
      expect(await cache.restore(wanted(sessionOf('ours')))).toBe(true);
      expect(unpacked).toEqual(['ours: our packages, with what we put in']);
    },
  );

  it('of another project are not used', async () => {
    await cache.keep(wanted(sessionOf('ours', 'packages')));
    const missesOf = (): number | undefined =>
      readCacheFigures().find(({ cache: of }) => of === 'dependencies')?.misses;
    const before = missesOf() ?? 0;
    expect(await cache.restore(wanted(sessionOf('ours'), 'another'))).toBe(false);
    expect(missesOf()).toBe(before + 1);
  });

  it('are not used after their maximum age', async () => {
    await cache.keep(wanted(sessionOf('ours', 'packages')));
    nowMs += hour;
    expect(await cache.restore(wanted(sessionOf('ours')))).toBe(true);
    nowMs += 1;
    expect(await cache.restore(wanted(sessionOf('ours')))).toBe(false);
    await cache.keep(wanted(sessionOf('ours', 'others'), 'another'));
    expect(await blobs.list('')).toHaveLength(1);
  });

  it('of one team replace its own oldest ones, never those of another team', async () => {
    await cache.keep(wanted(sessionOf('theirs', 't'.repeat(900))));
    for (let count = 0; count < 6; count++) {
      nowMs += 1;
      await cache.keep(wanted(sessionOf('ours', 'x'.repeat(900)), `project-${count}`));
    }
    expect(await blobs.list('')).toHaveLength(5);
    expect(await cache.restore(wanted(sessionOf('ours'), 'project-0'))).toBe(false);
    expect(await cache.restore(wanted(sessionOf('ours'), 'project-5'))).toBe(true);
    expect(await cache.restore(wanted(sessionOf('theirs')))).toBe(true);
  });

  it('are not cached if one project would use more than a quarter of the limit', async () => {
    await cache.keep(wanted(sessionOf('ours', 'x'.repeat(1001))));
    expect(await readdir(blobsDirectory)).toEqual([]);
  });

  it('are not cached if tar fails or ends early', async () => {
    const session = sessionOf('ours', 'half of it');
    const run = session.programs.run.bind(session.programs);
    session.programs.run = async (...given) => ({ ...(await run(...given)), exitCode: 2 });
    await cache.keep(wanted(session));
    session.programs.run = async (...given) => {
      await run(...given);
      throw new SoulBoxError('sandbox_unreachable', 'The connection broke.');
    };
    await cache.keep(wanted(session));
    expect(await readdir(blobsDirectory)).toEqual([]);
  });

  it('that were altered or are readable are removed, and never unpacked', async () => {
    for (const content of ['altered', 'readable']) {
      await cache.keep(wanted(sessionOf('ours', 'our packages')));
      const [name = ''] = await readdir(blobsDirectory);
      const bytes = await readFile(join(blobsDirectory, name));
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20);
      await writeFile(join(blobsDirectory, name), content === 'altered' ? bytes : content);
      expect(await cache.restore(wanted(sessionOf('ours')))).toBe(false);
      expect([unpacked, await readdir(blobsDirectory)]).toEqual([[], []]);
    }
  });
});
