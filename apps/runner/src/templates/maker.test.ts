import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import type { Recipe, TemplateStore } from '@soulbox/templates';
import { testDirectory } from '@soulbox/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDiskBudget } from '../disk-budget/budget.ts';
import { createBackground } from '../background.ts';
import type { Background } from '../background.ts';
import { createTemplateMaker } from './maker.ts';
import type { TemplateMaker } from './maker.ts';

// A real but minimal template, which takes 20 s.
const small: Recipe = { name: 'small', revision: 1, description: 'a test', packages: [], startCommand: 'true' };
const impossible: Recipe = { ...small, name: 'impossible', packages: ['no-such-package-of-debian'] };

let directory: string;
let store: TemplateStore;
let stopping: AbortController;
let background: Background;
let maker: TemplateMaker;
let policy: { diskReserveMb: number; diskReservePercent: number; diskOvercommit: number };

beforeEach(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  directory = await mkdtemp(join(testDirectory, 'maker-'));
  store = openTemplateStore(directory);
  stopping = new AbortController();
  background = createBackground(stopping.signal, silentLogger);
  policy = { diskReserveMb: 0, diskReservePercent: 0, diskOvercommit: 40 };
  const nobodys = { promisedBytes: 0, isStopped: false };
  const standing = { standingOf: () => nobodys, readDirtied: () => NaN };
  const budget = { policy, directory, ...standing, clock: systemClock, logger: silentLogger };
  maker = createTemplateMaker({
    store,
    recipes: [small, impossible],
    disks: createDiskBudget(budget),
    background,
    clock: systemClock,
    logger: silentLogger,
  });
});
afterEach(async () => {
  stopping.abort();
  await background[Symbol.asyncDispose]();
  await removeTree(directory);
});

test(
  'an early request gets the progress, and all requests get the same template',
  { tags: ['long'], timeout: 240_000 },
  async () => {
    expect(await maker.makeable()).toEqual(['small', 'impossible']);
    expect(await maker.make('small', 0)).toMatchObject({ step: expect.any(String) as string });
    const [first, second] = await Promise.all([maker.make('small', 200_000), maker.make('small', 200_000)]);
    expect(first).toMatchObject({ names: ['small'], startCommand: 'true' });
    expect(second).toEqual(first);
    expect(await maker.make('small', 0)).toEqual(first);
    expect(await store.list()).toEqual([first]);
    expect(await maker.makeable()).toEqual(['impossible']);
  },
);

test('a name without a recipe is refused', async () => {
  await expect(maker.make('nothing', 1000)).rejects.toMatchObject({ reason: 'template_not_found' });
});

test(
  'a template that cannot be made fails for waiting callers, and can be requested again',
  { timeout: 120_000 },
  async () => {
    await expect(maker.make('impossible', 100_000)).rejects.toMatchObject({ reason: 'host_not_ready' });
    expect(await readdir(directory)).toEqual([]);
    expect(await maker.make('impossible', 0)).toMatchObject({ step: expect.any(String) as string });
  },
);

test('a server that stops leaves no parts of a template that is being made', { timeout: 60_000 }, async () => {
  await maker.make('small', 2000);
  const waiting = maker.make('small', 60_000);
  stopping.abort();
  await expect(waiting).rejects.toThrow();
  await background[Symbol.asyncDispose]();
  expect(await readdir(directory)).toEqual([]);
});

test(
  'a template that would use reserved space is not started, or is aborted, and leaves no parts',
  { timeout: 60_000 },
  async () => {
    policy.diskReservePercent = 100;
    await expect(maker.make('small', 10_000)).rejects.toMatchObject({ reason: 'disk_full' });
    policy.diskReservePercent = 0;
    await maker.make('small', 2000);
    const waiting = maker.make('small', 30_000);
    policy.diskReservePercent = 100;
    await expect(waiting).rejects.toMatchObject({ reason: 'disk_full' });
    expect(await readdir(directory)).toEqual([]);
  },
);
