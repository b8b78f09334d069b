/** @module-tag violation */
import { mkdir, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { openDiskReserve } from '../../reserve/disk-reserve.ts';
import { createApiKey, ensureDefaultTeam } from '../first-start.ts';
import type { Records } from '../records.ts';
import { facts, listQuery } from '../../conformance/facts.ts';
import { openSqliteRecords } from './open.ts';

const mib = 2 ** 20;
let folder: string;
let disk: string;
let team: string;
let records: Records;

const openRecords = (): Records => {
  const reserve = openDiskReserve(join(disk, 'reserve'));
  return openSqliteRecords(join(disk, 'records.sqlite'), { reserve });
};

/** A real file system of 96 MiB that contains the reserve and some records. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-full-'));
  disk = join(folder, 'disk');
  const image = join(folder, 'image');
  const file = await open(image, 'wx');
  await file.truncate(96 * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-N', '256', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  await openDiskReserve(join(disk, 'reserve')).restore();
  records = openRecords();
  team = (await ensureDefaultTeam(records)).id;
  for (let number = 0; number < 50; number += 1) await records.sandboxes.put(facts(`i${number}`, team, number), 5);
});
afterEach(async () => {
  await records[Symbol.asyncDispose]();
  await run('umount', ['--', disk]);
  await removeTree(folder);
});

const ballast = (): string => join(disk, 'ballast');

async function fillUp(): Promise<void> {
  const file = await open(ballast(), 'wx');
  const block = Buffer.alloc(64 * 1024, 7);
  for (let size = block.length; size >= 512; size /= 2) {
    const write = async (): Promise<never> => {
      for (;;) await file.writeFile(block.subarray(0, size));
    };
    await expect(write()).rejects.toMatchObject({ code: 'ENOSPC' });
  }
  await file.close();
  expect((await statfs(disk)).bavail).toBe(0);
}

async function useUpInodes(): Promise<void> {
  await mkdir(ballast());
  const create = async (): Promise<never> => {
    for (let number = 0; ; number += 1) await writeFile(join(ballast(), String(number)), '');
  };
  await expect(create()).rejects.toMatchObject({ code: 'ENOSPC' });
}

const makeRoom = async (): Promise<void> => await rm(ballast(), { recursive: true });

/** Writes rows until SQLite's log, which has space of its own, is full too. */
async function fillRecords(): Promise<unknown> {
  const big = { text: 'x'.repeat(4000) };
  for (let number = 0; number < 100_000; number += 1) {
    try {
      await records.sandboxes.beginCreation(
        { id: `c${number}`, teamId: team, templateId: big.text, startedAt: 1, sandboxCount: 0, memoryMb: 0 },
        { sandboxes: 1e6, memoryMb: Infinity },
        0,
      );
    } catch (thrown) {
      return thrown;
    }
  }
  throw new Error('The disk never became full.');
}

describe('records on a full disk', () => {
  it('return disk_full for new work, change nothing, and still end, delete and record what has happened', async () => {
    const { record } = await createApiKey(records, { id: team }, 'old');
    await fillUp();
    expect(await fillRecords()).toMatchObject({ reason: 'disk_full' });
    await expect(createApiKey(records, { id: team }, 'new')).rejects.toMatchObject({ reason: 'disk_full' });
    expect((await records.apiKeys.list(team)).map(({ name }) => name)).toEqual(['old']);

    for (let number = 0; number < 50; number += 1)
      expect(await records.sandboxes.end(`i${number}`, 'killed', 10)).toBe(true);
    expect((await records.sandboxes.list(listQuery(team))).sandboxes).toEqual([]);
    expect(await records.apiKeys.remove(team, record.id)).toBe(true);
    expect(await records.sandboxes.put(facts('late', team, 60), 5)).toBe(true);

    await makeRoom();
    await createApiKey(records, { id: team }, 'new');
    await openDiskReserve(join(disk, 'reserve')).restore();
    expect(openDiskReserve(join(disk, 'reserve')).heldBytes()).toBe(64 * mib);
  });

  it.each([
    ['is full', fillUp],
    ['has no inodes', useUpInodes],
  ])('are opened by a new server when it %s', async (_what, exhaust) => {
    await records[Symbol.asyncDispose]();
    await exhaust();
    records = openRecords();
    expect(await records.sandboxes.end('i0', 'killed', 10)).toBe(true);
    await makeRoom();
  });
});

it('the reserve serves no other purpose: it is counted before new work begins', async () => {
  const reserve = openDiskReserve(join(disk, 'reserve'));
  expect(reserve.room().isShort).toBe(false);
  const { bavail, bsize } = await statfs(disk);
  await run('fallocate', ['--length', String(bavail * bsize - 10 * mib), ballast()]);
  const check = (): void => {
    reserve.check();
  };
  expect(check).toThrow(expect.objectContaining({ reason: 'disk_full' }) as Error);
  await makeRoom();
  expect(check).not.toThrow();
});
