/** @module-tag violation */
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { openCheckpointStore } from './open-checkpoint-store.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { mib, patternOf, sealTestCheckpoint, testFacts, testOptions } from './testing/test-store.ts';

let folder: string;
let disk: string;
let store: CheckpointStore;

/** A real file system of 16 MiB with 64 inodes, and a store with one checkpoint on it. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-full-'));
  disk = join(folder, 'disk');
  const image = join(folder, 'image');
  const file = await open(image, 'wx');
  await file.truncate(16 * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-m', '0', '-N', '64', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  store = await openCheckpointStore({ ...testOptions(folder), directory: join(disk, 'store') });
  await sealTestCheckpoint(store, 'before');
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await run('umount', ['--', disk]);
  await rm(folder, { recursive: true });
});

/** Writes until nothing more fits. */
async function fillUp(path: string): Promise<void> {
  const file = await open(path, 'wx');
  const block = patternOf(64 * 1024);
  await expect(
    (async () => {
      for (;;) await file.writeFile(block);
    })(),
  ).rejects.toMatchObject({ code: 'ENOSPC' });
  for (let length = 32 * 1024; length >= 512; length /= 2)
    await file.writeFile(block.subarray(0, length)).catch(() => undefined);
  await file.close();
}

async function useUpInodes(directory: string): Promise<void> {
  await mkdir(directory);
  await expect(
    (async () => {
      for (let number = 0; ; number += 1) await writeFile(join(directory, String(number)), '');
    })(),
  ).rejects.toMatchObject({ code: 'ENOSPC' });
}

describe.for([
  ['is full', (): Promise<void> => fillUp(join(disk, 'ballast'))],
  ['has no inodes left', (): Promise<void> => useUpInodes(join(disk, 'ballast'))],
] as const)('a disk that %s', ([, exhaust]) => {
  test('fails the seal with disk_full, keeps earlier checkpoints, and can be used once there is room', async () => {
    {
      await using draft = await store.begin('s1');
      await writeFile(join(draft.directory, 'pages-1.img'), patternOf(2 * mib));
      await exhaust();
      await expect(draft.seal(testFacts())).rejects.toMatchObject({ reason: 'disk_full' });
    }
    expect(await readdir(join(disk, 'store', 'states'))).toEqual(['before']);
    await (await store.open('before')).verify();
    await rm(join(disk, 'ballast'), { recursive: true });
    await (await sealTestCheckpoint(store, 's1')).verify();
  });

  test('fails the seal of a layer with disk_full, and keeps the layer', async () => {
    await writeFile(store.layerPath('l1'), patternOf(mib));
    await exhaust();
    await expect(store.sealLayer('l1')).rejects.toMatchObject({ reason: 'disk_full' });
    await rm(join(disk, 'ballast'), { recursive: true });
    await expect(store.verifyLayer('l1')).rejects.toMatchObject({ reason: 'state_damaged' });
    await store.sealLayer('l1');
    await store.verifyLayer('l1');
  });
});

test('without free inodes a draft is refused with disk_full, and its id stays free', async () => {
  await useUpInodes(join(disk, 'ballast'));
  await expect(store.begin('s1')).rejects.toMatchObject({ reason: 'disk_full' });
  await rm(join(disk, 'ballast'), { recursive: true });
  await sealTestCheckpoint(store, 's1');
});
