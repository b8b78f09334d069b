import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { sealedObjects } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { openPaths } from '@soulbox/volumes';
import { createGenerations, createPacks, openStoredVolumes, restoreVolume } from '@soulbox/volumes/stored';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOpenVolumes } from '../volumes/open-volumes.ts';
import type { OpenVolumes } from '../volumes/open-volumes.ts';
import { usualUploadLimits } from './upload-limits.ts';
import { createVolumeStore } from './upload-volumes.ts';
import type { VolumeStore } from './upload-volumes.ts';

const { signal } = new AbortController();
const key = randomBytes(32);
const serverId = 'a'.repeat(20);
const quick = { ...usualUploadLimits, lookMs: 5, settleMs: 5, everyMs: 5, pauseFactor: 0, awayMs: 5, awayMaxMs: 20 };
const place = { teamId: 't', groupId: 'v1', volumeId: 'v1' };
const content = randomBytes(300_000);
let folder: string;
let access: MemoryAccess;
let store: VolumeStore;
let volumes: OpenVolumes;

interface StartOptions {
  readonly nonce?: string;
  readonly earlier?: string[];
  readonly data?: string;
  readonly limits?: Partial<typeof quick>;
  readonly localBytes?: number;
}

async function start(options: StartOptions = {}): Promise<void> {
  const { nonce = 'one', earlier = [], limits = {}, localBytes, data = 'data' } = options;
  const directory = join(folder, data);
  await mkdir(directory, { recursive: true });
  const objects = sealedObjects(access, serverId);
  const stored = openStoredVolumes({ objects, key, directory, localBytes, logger: silentLogger });
  store = createVolumeStore({
    ...{ stored, objects, key, directory, owner: { nonce, earlier }, logger: silentLogger },
    limits: { ...quick, ...limits },
  });
  const reserve = openDiskReserve(join(folder, 'reserve'));
  volumes = createOpenVolumes(directory, { reserve, bootId: 'b', store: store.forVolumes, logger: silentLogger });
  store.start(volumes);
}
async function stop(): Promise<void> {
  await store[Symbol.asyncDispose]();
  await volumes[Symbol.asyncDispose]();
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upload-volumes-'));
  access = memoryAccess();
  await start();
});
afterEach(async () => {
  await stop();
  await removeTree(folder);
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}
const write = async (path: string, bytes: Buffer, where = place): Promise<void> =>
  await volumes.use(where, async ({ volume }) => {
    await openPaths(volume).write(path, once(bytes), { uid: 1, gid: 1, mode: 0o644 });
  });
const read = async (path: string, where = place): Promise<Buffer> =>
  await volumes.use(where, async ({ volume }) => {
    const pieces: Buffer[] = [];
    using result = await openPaths(volume).read(path);
    for await (const piece of result.stream) pieces.push(piece);
    return Buffer.concat(pieces);
  });
const untilIdle = async (wanted = 1): Promise<void> =>
  await expect
    .poll(() => store.figures(), { timeout: 10_000 })
    .toMatchObject({ state: 'idle', wanted, uploaded: wanted, behind: [] });
const names = (part: string): string[] => [...access.objects.keys()].filter((name) => name.includes(part));

/** Another host, which has only what is in the store. */
async function recover(): Promise<void> {
  await stop();
  const objects = sealedObjects(access, serverId);
  const [generations, packs] = [createGenerations(objects, key), createPacks(objects, key)];
  for (const [volumeId, numbers] of await generations.list(signal)) {
    const generation = await generations.get(volumeId, numbers.at(-1) ?? 0, signal);
    if (generation === undefined) throw new Error('there is no generation');
    const data = join(folder, 'other', generation.teamId, generation.groupId);
    await restoreVolume({ packs, generation, data, signal });
  }
  await start({ nonce: 'two', earlier: ['one'], data: 'other' });
}

test('each change is in the store soon, and another host reads it', async () => {
  await write('/a', content);
  await untilIdle();
  const first = names('/generations/').length;
  await write('/b', Buffer.from('small'));
  await untilIdle();
  expect(names('/generations/').length).toBe(first + 1);
  await recover();
  expect((await read('/a')).equals(content)).toBe(true);
  expect((await read('/b')).toString()).toBe('small');
  await write('/c', content);
  await untilIdle();
  expect(store.figures().uploads).toBe(1);
});

test('nothing is uploaded again after a restart without a change, and what a killed service had not uploaded is', async () => {
  await write('/a', content);
  await untilIdle();
  await stop();
  await start({ nonce: 'two', earlier: ['one'] });
  await untilIdle();
  expect(store.figures().uploads).toBe(0);
  access.fault = (method) => {
    if (method === 'put') throw new SoulBoxError('storage_unavailable', 'The store is away.');
  };
  await write('/b', content);
  await expect.poll(() => store.figures()).toMatchObject({ state: 'away', reason: 'The store is away.' });
  expect(store.figures().behind[0]).toMatchObject({ id: 'v1', reason: 'The store is away.' });
  await stop();
  access.fault = () => undefined;
  await start({ nonce: 'three', earlier: ['one', 'two'] });
  await untilIdle();
  expect(store.figures().uploads).toBe(1);
  await recover();
  expect((await read('/b')).equals(content)).toBe(true);
});

test('old generations are removed', async () => {
  for (let index = 0; index < 6; index++) {
    await write('/a', Buffer.from(String(index)));
    await untilIdle();
  }
  await expect.poll(() => names('/generations/').length).toBe(3);
});

test('a removed volume leaves the store, with its packs if no copy needs them', async () => {
  await write('/a', content);
  await volumes.copy(place, { volumeId: 'v2', isReadOnly: true });
  await untilIdle(2);
  await volumes.remove(place);
  await expect.poll(() => names('/generations/v1/')).toEqual([]);
  await untilIdle(1);
  expect(names('/packs/').length).toBeGreaterThan(0);
  expect((await read('/a', { ...place, volumeId: 'v2' })).equals(content)).toBe(true);
  await volumes.remove({ ...place, volumeId: 'v2' });
  await expect.poll(() => [...names('/packs/'), ...names('/generations/')]).toEqual([]);
  expect(await readdir(join(folder, 'data', '.removed'))).toEqual([]);
});

test('a volume whose folder is lost stays in the store', async () => {
  await write('/a', content);
  await untilIdle();
  await stop();
  const before = [...access.objects.keys()].length;
  await rm(join(folder, 'data', 't'), { recursive: true });
  await start({ nonce: 'two', earlier: ['one'], limits: { collectMs: 5, graceMs: 5 } });
  await expect.poll(() => store.figures().state).toBe('idle');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([...access.objects.keys()].length).toBe(before);
});

test('what no volume needs any more is collected while everything else goes on', async () => {
  await stop();
  await start({ nonce: 'two', earlier: ['one'], limits: { collectMs: 20, graceMs: 20 } });
  for (let index = 0; index < 8; index++) {
    await write('/a', randomBytes(100_000));
    await untilIdle();
  }
  await write('/a', content);
  await untilIdle();
  await expect.poll(() => names('/packs/').length, { timeout: 10_000 }).toBeLessThan(12);
  await recover();
  expect((await read('/a')).equals(content)).toBe(true);
});

test('packs of which little is needed are rewritten, and leave the store although nobody changes the volume', async () => {
  await stop();
  await start({ nonce: 'two', earlier: ['one'], limits: { collectMs: 20, graceMs: 20, rewriteMs: 5 } });
  const kept = randomBytes(40_000);
  await write('/kept', kept);
  await write('/large', randomBytes(2_000_000));
  await untilIdle();
  const isLarge = (): boolean => names('/packs/').some((name) => (access.objects.get(name)?.length ?? 0) > 1_000_000);
  expect(isLarge()).toBe(true);
  await volumes.use(
    place,
    async ({ volume }) => await openPaths(volume).remove('/large', { recursive: false, signal }),
  );
  await expect.poll(isLarge, { timeout: 10_000 }).toBe(false);
  await untilIdle();
  // It comes to rest: nothing is made again and again.
  await expect
    .poll(
      async () => {
        const before = store.figures().uploads;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return store.figures().uploads - before;
      },
      { timeout: 10_000 },
    )
    .toBe(0);
  await recover();
  expect((await read('/kept')).equals(kept)).toBe(true);
});

test('a server whose place another one has taken uploads and deletes nothing more', async () => {
  await write('/a', content);
  await untilIdle();
  await recover();
  await untilIdle();
  await stop();
  await start({ nonce: 'late', earlier: ['one'] });
  await expect.poll(() => store.figures().state).toBe('refused');
  const before = [...access.objects.keys()];
  await write('/a', Buffer.from('other'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([...access.objects.keys()]).toEqual(before);
});

test('with a limit for the disk, files are read from the store', async () => {
  await stop();
  await start({ nonce: 'two', earlier: ['one'], localBytes: 100_000, limits: { trimMs: 5 } });
  for (const name of ['a', 'b', 'c']) await write(`/${name}`, content);
  await untilIdle();
  const local = async (): Promise<number> => {
    const found = await readdir(join(folder, 'data/t/v1/blocks'), { recursive: true, withFileTypes: true });
    return found.filter((entry) => entry.isFile()).length;
  };
  await expect.poll(local, { timeout: 10_000 }).toBe(0);
  for (const name of ['a', 'b', 'c']) expect((await read(`/${name}`)).equals(content)).toBe(true);
  await write('/d', content);
  expect((await read('/d')).equals(content)).toBe(true);
});
