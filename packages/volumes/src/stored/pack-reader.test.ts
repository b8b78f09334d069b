import { SoulBoxError } from '@soulbox/base';
import { expect, test } from 'vitest';
import { createPackReader } from './pack-reader.ts';
import type { PackReader } from './pack-reader.ts';
import { newRun, packOfRun } from './packs.ts';
import type { OpenedPack, Packs } from './packs.ts';

const { signal } = new AbortController();
const run = newRun();

/** Has the packs of one run below `end`. */
function readerOf(end: number): { reader: PackReader; asked: number[]; fetched: OpenedPack[] } {
  const asked: number[] = [];
  const fetched: OpenedPack[] = [];
  const get: Packs['get'] = async (_group, pack) => {
    const number = Number.parseInt(pack.slice(24), 16);
    asked.push(number);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (number >= end) throw new SoulBoxError('storage_damaged', 'It is not there.');
    return { bytes: Buffer.from([number]), units: [] };
  };
  const reader = createPackReader({ get } as Packs, signal, (_group, opened) => fetched.push(opened));
  return { reader, asked, fetched };
}

test('packs that are read in order are fetched ahead, and each of them once', async () => {
  const { reader, asked, fetched } = readerOf(100);
  for (let number = 0; number < 20; number++)
    expect((await reader.read('g', packOfRun(run, number))).bytes[0]).toBe(number);
  expect(asked).toEqual(Array.from({ length: asked.length }, (_, number) => number));
  expect(asked.length).toBe(24);
  await expect.poll(() => fetched.length).toBe(24);
});

test('a pack that is in memory is looked at without waiting, and what follows it is fetched ahead too', async () => {
  const { reader, asked, fetched } = readerOf(100);
  expect(reader.peek('g', packOfRun(run, 0))).toBeUndefined();
  for (const number of [0, 1]) await reader.read('g', packOfRun(run, number));
  await expect.poll(() => fetched.length).toBe(6);
  for (const number of [2, 3]) expect(reader.peek('g', packOfRun(run, number))?.bytes[0]).toBe(number);
  await expect.poll(() => fetched.length).toBe(8);
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  for (const number of [50, 60, 70, 80, 90, 99]) await reader.read('g', packOfRun(run, number));
  // As many as are kept: those that were used first are gone.
  expect(reader.peek('g', packOfRun(run, 2))).toBeUndefined();
  expect(reader.peek('g', packOfRun(run, 99))?.bytes[0]).toBe(99);
});

test('packs that are read anywhere are not fetched ahead', async () => {
  const { reader, asked } = readerOf(100);
  for (const number of [50, 7, 80, 3, 50]) await reader.read('g', packOfRun(run, number));
  expect(asked).toEqual([50, 7, 80, 3]);
});

test('readers of one pack at the same time share it, and an error is not remembered', async () => {
  const { reader, asked } = readerOf(1);
  await Promise.all([0, 0, 0].map(async (number) => await reader.read('g', packOfRun(run, number))));
  expect(asked).toEqual([0]);
  for (const _ of [1, 2])
    await expect(reader.read('g', packOfRun(run, 9))).rejects.toMatchObject({ reason: 'storage_damaged' });
  expect(asked).toEqual([0, 9, 9]);
});

test('packs that are not there are asked for once', async () => {
  const { reader, asked } = readerOf(3);
  for (const number of [0, 1]) await reader.read('g', packOfRun(run, number));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await reader.read('g', packOfRun(run, 2));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
