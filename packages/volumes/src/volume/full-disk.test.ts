/** @module-tag violation */
import { mkdtempSync } from 'node:fs';
import { mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { openDiskReserve } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkVolume } from '../check/check-volume.ts';
import { copyVolume } from '../copies/copy-volume.ts';
import { holdVolume } from '../copies/hold-volume.ts';
import { stageVolume } from '../copies/stage-volume.ts';
import { makeVolume } from '../testing/fresh-volume.ts';
import type { Volume } from './open.ts';
import type { FreshVolume } from '../testing/fresh-volume.ts';
import { createRequests } from '../testing/requests.ts';

const mib = 2 ** 20;
const request = createRequests();
const options = { flags: 0, isWriteback: false, killSuidgid: false };
let folder: string;
let disk: string;
let fresh: FreshVolume;

/** A real file system of 192 MiB: the reserve, what the volume leaves for the metadata, and 60 MiB for data. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'soulbox-volume-full-'));
  disk = join(folder, 'disk');
  const image = join(folder, 'image');
  const file = await open(image, 'wx');
  await file.truncate(192 * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  const reserve = openDiskReserve(join(folder, 'disk', 'reserve'));
  await reserve.restore();
  await mkdir(join(disk, 'volumes'));
  fresh = await makeVolume({ data: join(disk, 'volumes'), reserve });
});
afterEach(async () => {
  await fresh[Symbol.asyncDispose]();
  await run('umount', ['--', disk]);
  await removeTree(folder);
});

const create = async (name: string): Promise<number> =>
  (await fresh.fs.create(1, Buffer.from(name), 0o644, 0, request())).entry.nodeId;

/** Writes until it is refused. Returns how much was taken. */
async function fill(ino: number): Promise<number> {
  const block = Buffer.alloc(mib, 5);
  for (let offset = 0; ; offset += mib) {
    try {
      await fresh.fs.write(ino, 0, offset, block, options, request());
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'ENOSPC' });
      return offset;
    }
  }
}

/** Takes all that is left, even what a volume keeps free for itself, and what ext4 gives back with its next commits. */
async function fillDisk(): Promise<void> {
  await using other = await open(join(disk, 'other'), 'wx');
  const filling = async (bytes: number): Promise<never> => {
    for (;;) await other.writeFile(Buffer.alloc(bytes, 1));
  };
  for (let round = 0; round < 10; round += 1) {
    for (const bytes of [64 * 1024, 512]) await expect(filling(bytes)).rejects.toMatchObject({ code: 'ENOSPC' });
    await run('sync', ['-f', '--', disk]);
    if ((await statfs(disk)).bavail < 8) return;
  }
  throw new Error('The disk does not become full.');
}

async function expectNoCopy(source: Volume): Promise<void> {
  const quota = { bytes: undefined, inodes: undefined };
  const copy = copyVolume(source, { data: join(disk, 'volumes'), id: 'copy', isReadOnly: false, quota });
  await expect(copy).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(await readdir(join(disk, 'volumes'))).not.toContain('copy');
}

test('a full disk refuses data and new names, keeps all that was taken, and lets files be deleted', async () => {
  const file = await create('big');
  const taken = await fill(file);
  expect(taken).toBeGreaterThan(20 * mib);
  await fresh.volume.sync();
  expect(await checkVolume(fresh.volume)).toMatchObject({ faults: [] });
  expect(fresh.fs.statfs(1, request())).toMatchObject({ bfree: expect.any(Number) as number });

  await fillDisk();
  await expectNoCopy(fresh.volume);
  const refusal = async (name: string): Promise<unknown> => {
    try {
      return await create(name);
    } catch (thrown) {
      return thrown;
    }
  };
  await expect.poll(() => refusal(`new-${performance.now()}`), { timeout: 5000 }).toMatchObject({ code: 'ENOSPC' });
  expect((await fresh.fs.read(file, 0, taken - 10, 10, request())) as Buffer).toEqual(Buffer.alloc(10, 5));
  // Small changes until the log of the metadata has no room either, then deletes.
  for (let count = 0; count < 300; count += 1)
    await fresh.fs.setattr(file, { mode: 0o600 + (count % 2), killSuidgid: false }, request());
  await fresh.fs.unlink(1, Buffer.from('big'), request());
  fresh.fs.forget(file);
  await expect.poll(() => fresh.volume.metadata.facts().usage.bytes).toBe(0);
  await fresh.volume.sync();
  await rm(join(disk, 'other'));
  await expect.poll(() => refusal(`later-${performance.now()}`), { timeout: 5000 }).toEqual(expect.any(Number));
  // ext4 gives space back when it commits its journal, which it does every 5 s.
  const { bsize } = await statfs(disk);
  await expect.poll(async () => (await statfs(disk)).bavail * bsize, { timeout: 15_000 }).toBeGreaterThan(90 * mib);
  expect(await fill(await create('again'))).toBeGreaterThan(20 * mib);
});

test('a disk that becomes full during a copy fails the copy, and nothing else', async () => {
  await fill(await create('big'));
  await fillDisk();
  const blocks = { ...fresh.volume.blocks, freeBytes: () => Infinity };
  await expectNoCopy({ ...fresh.volume, blocks });
  expect(await checkVolume(fresh.volume)).toMatchObject({ faults: [] });
});

test('a disk that becomes full while a volume is saved for a backup leaves nothing of the volume', async () => {
  await fill(await create('big'));
  const data = join(disk, 'volumes');
  {
    using held = await holdVolume(fresh.volume, data);
    await fillDisk();
    const blocks = { ...fresh.volume.blocks, freeBytes: () => Infinity };
    const options = { draft: join(data, 'draft'), target: join(data, 'stage'), signal: new AbortController().signal };
    const staging = stageVolume({ ...held, volume: { ...fresh.volume, blocks } }, options);
    await expect(staging).rejects.toMatchObject({ reason: 'disk_full' });
  }
  expect((await readdir(data)).filter((name) => name === 'draft' || name === 'stage')).toEqual([]);
  expect(await checkVolume(fresh.volume)).toMatchObject({ faults: [] });
});
