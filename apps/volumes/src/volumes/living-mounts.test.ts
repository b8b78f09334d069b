import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { createVolume, openVolume } from '@soulbox/volumes';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOpenVolumes } from './open-volumes.ts';
import type { OpenVolumes } from './open-volumes.ts';

const place = { teamId: 't', groupId: 'g', volumeId: 'v' };
const bootId = 'this boot';
let directory: string;
let folder: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'living-mounts-'));
  folder = join(directory, 't/g');
  await mkdir(folder, { recursive: true });
  createVolume(folder, {
    id: 'v',
    quota: { bytes: undefined, inodes: undefined },
    root: { uid: 0, gid: 0, mode: 0o755 },
  });
  await leaveLocks(['ended', 'lives']);
});
afterEach(async () => await removeTree(directory));

/** What a service that was killed leaves of mounts, each of which has a lock. */
async function leaveLocks(mounts: readonly string[]): Promise<void> {
  const reserve = openDiskReserve(join(directory, '.reserve'));
  await using volume = await openVolume(folder, 'v', { reserve, logger: silentLogger });
  for (const [at, mount] of mounts.entries())
    await volume.locks.set(
      { ino: 1, kind: 'posix', mount, owner: 'o', lock: { type: 'write', start: at, end: at, pid: 1 } },
      undefined,
    );
  await writeFile(join(folder, 'v/mounts.json'), JSON.stringify({ bootId, mounts }));
}

const openAll = (): OpenVolumes =>
  createOpenVolumes(directory, {
    ...{ reserve: openDiskReserve(join(directory, '.reserve')), bootId, store: undefined, logger: silentLogger },
  });
const holders = async (volumes: OpenVolumes): Promise<string[]> =>
  await volumes.use(place, async ({ volume }) => (await volume.metadata.locks.list()).map(({ mount }) => mount));

test('locks of mounts wait for the next service to serve them', async () => {
  await using volumes = openAll();
  expect(await holders(volumes)).toEqual(['ended', 'lives']);
});

test('mounts that the runner does not name any more end, in volumes that are open', async () => {
  await using volumes = openAll();
  await volumes.use(place, async () => {
    await volumes.endMountsExcept(new Set(['lives', 'other']));
  });
  expect(await holders(volumes)).toEqual(['lives']);
  expect(JSON.parse(await readFile(join(folder, 'v/mounts.json'), 'utf8'))).toMatchObject({ mounts: ['lives'] });
});

test('and in volumes that are opened later', async () => {
  await using volumes = openAll();
  await volumes.endMountsExcept(new Set(['lives']));
  expect(await holders(volumes)).toEqual(['lives']);
});

test('a mount that is served stays, whatever the runner names', async () => {
  await using volumes = openAll();
  await volumes.use(place, async ({ mounts }) => {
    mounts.begin('ended');
    await volumes.endMountsExcept(new Set());
    expect(await holders(volumes)).toEqual(['ended']);
  });
});
