import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readCpuType } from '../host/cpu-type.ts';
import { bundleNameOf } from './sandbox-host.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { checkLayers, checkMemory, comesLate } from './check-memory.ts';
import type { CheckedMemory, CheckpointUse } from './check-memory.ts';

const mib = 2 ** 20;
let bench: OperationBench;
let use: CheckpointUse;
let memoryMb: number;
beforeEach(async () => {
  bench = await createOperationBench();
  memoryMb = 512;
  const { checkpoints } = bench.context.host;
  for (const layerId of ['l2', 'l1']) {
    await writeFile(checkpoints.layerPath(layerId), `content of ${layerId}`);
    await checkpoints.sealLayer(layerId);
  }
  use = {
    checkpointId: 's1',
    layers: ['l2', 'l1'],
    driver: 'container',
    runtimeName: bundleNameOf(bench.context.host),
  };
});
afterEach(() => bench[Symbol.asyncDispose]());

async function save(pagesBytes: number, facts: object = {}): Promise<string> {
  await using draft = await bench.context.host.checkpoints.begin('s1', use.layers);
  await writeFile(join(draft.directory, 'core-1.img'), 'processes');
  await writeFile(join(draft.directory, 'pages-1.img'), Buffer.alloc(pagesBytes, 7));
  const { directory } = await draft.seal({
    ...{ createdAtMs: 0, driver: 'container', driverVersion: '', hasMemory: true, cpuType: await readCpuType() },
    ...{ templateId: 'base', runtimeName: '', cpuCount: 1, memoryMb, diskMb: 1, layers: [...use.layers], tenant: null },
    ...facts,
  });
  return directory;
}

async function damage(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

const check = (): Promise<CheckedMemory> => checkMemory(bench.context.host, use, { owner: 'itself', sandboxId: '' });
const damaged = { reason: 'state_damaged' };
const incompatible = { reason: 'state_incompatible' };

it('an intact checkpoint with intact layers passes the check', async () => {
  await save(1000);
  await bench.reopenCheckpoints();
  await (
    await check()
  ).pagesChecked;
});

it.each(['l1', 'l2'])('a checkpoint whose layer %s was altered is not restored', async (layerId) => {
  await save(1000);
  await damage(bench.context.host.checkpoints.layerPath(layerId));
  await bench.reopenCheckpoints();
  await expect(check()).rejects.toMatchObject(damaged);
  await expect(checkLayers(bench.context.host, use.layers)).rejects.toMatchObject(damaged);
});

it('a checkpoint whose layer is missing is not restored', async () => {
  await save(1000);
  use = { ...use, layers: ['l2', 'gone'] };
  await expect(check()).rejects.toMatchObject(damaged);
});

it('a checkpoint with an altered part is not restored, and altered pages are reported while the restore is prepared', async () => {
  const directory = await save(1000);
  await damage(join(directory, 'pages-1.img'));
  const memory = await check();
  await expect(memory.pagesChecked).rejects.toMatchObject(damaged);
  await damage(join(directory, 'core-1.img'));
  await expect(check()).rejects.toMatchObject(damaged);
});

it('an archived checkpoint is unpacked if there is room, and the room is reserved meanwhile', async () => {
  await save(4 * mib);
  const { host } = bench.context;
  await host.checkpoints.compress('s1');
  const admit = vi.spyOn(host.disks, 'admit');
  bench.noRoomFor = 'Unpacking the saved memory';
  await expect(check()).rejects.toMatchObject({ reason: 'disk_full' });
  expect((await host.checkpoints.open('s1')).isPacked).toBe(true);
  bench.noRoomFor = '';
  await check();
  expect(admit.mock.lastCall).toEqual([4 * mib, 'Unpacking the saved memory']);
  expect(bench.roomFor).toEqual([]);
});

it('a checkpoint with an additional part is not restored', async () => {
  const directory = await save(1000);
  await appendFile(join(directory, 'pages-2.img'), 'more');
  await expect(check()).rejects.toMatchObject(damaged);
});

it.each([
  ['by another isolation', { driver: 'gvisor' }],
  ['on a host with other CPU features', { cpuType: 'another' }],
])('a checkpoint that was saved %s is incompatible', async (_, facts) => {
  await save(1000, facts);
  await expect(check()).rejects.toMatchObject(incompatible);
});

it('a checkpoint that needs a deleted version of envd is incompatible', async () => {
  await save(1000);
  use = { ...use, runtimeName: 'nowhere' };
  await expect(check()).rejects.toMatchObject(incompatible);
});

it.each([
  ['small', 63 * mib, 512, true, 'itself', false],
  ['large', 64 * mib, 512, true, 'itself', true],
  ['large, for a copy', 64 * mib, 512, true, 'copy', false],
  ['large, for copies', 64 * mib, 512, true, 'copies', false],
  ['large, with a driver that reads all at once', 64 * mib, 512, false, 'itself', false],
  ['as much as leaves a quarter free', 72 * mib, 96, true, 'itself', true],
  ['more than leaves a quarter free', 73 * mib, 96, true, 'itself', false],
] as const)(
  'whether a memory that is %s is restored lazily: %6$s',
  async (_, pagesBytes, megabytes, lazyRestore, owner, isLate) => {
    memoryMb = megabytes;
    await save(pagesBytes);
    Object.assign(bench.driver.capabilities, { lazyRestore });
    const memory = await checkMemory(bench.context.host, use, { owner, sandboxId: '' });
    expect(comesLate(memory)).toBe(isLate);
    await memory.pagesChecked;
  },
);

it.each([
  ['a sandbox', 'itself', 9, true],
  ['one copy', 'copy', 9, true],
  ['several copies', 'copies', 9, false],
  ['one copy of a small memory', 'copy', 7, false],
] as const)(
  'whether memory that still arrives is restored lazily for %s: %4$s',
  async (_, owner, megabytes, isLate) => {
    await save(megabytes * mib);
    Object.assign(bench.driver.capabilities, { lazyRestore: true });
    const { host } = bench.context;
    const checkpoint = await host.checkpoints.open('s1');
    const seen: string[] = [];
    const blocks = { path: '/arriving', count: 1, first: {} };
    const whole = Promise.resolve();
    const end = (): void => void seen.push('the restore is over');
    const stored = {
      ...host.stored,
      late: async () =>
        await Promise.resolve({
          checkpoint,
          blocks,
          whole,
          asked: () => [],
          keep: () => void seen.push('kept'),
          [Symbol.dispose]: end,
        }),
    };
    bench.driver.wantFirstBlocks = () => void seen.push('first blocks');
    {
      await using memory = await checkMemory({ ...host, stored }, use, { owner, sandboxId: '' });
      await memory.pagesChecked;
      expect(comesLate(memory)).toBe(isLate);
      expect(memory.digests.arriving).toBe(isLate ? blocks : undefined);
      expect(seen).toEqual(isLate ? ['kept', 'first blocks'] : owner === 'copies' ? [] : ['the restore is over']);
    }
    expect(seen.at(-1)).toBe(owner === 'copies' ? undefined : 'the restore is over');
  },
);
