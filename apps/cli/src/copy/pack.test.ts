/** @module-tag violation */
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pack } from './pack.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-pack-'));
  for (const name of ['a', 'b', 'c']) await writeFile(join(folder, name), name);
  await mkdir(join(folder, 'd'));
  await writeFile(join(folder, 'd/e'), 'e');
  await symlink('a', join(folder, 'l'));
});
afterEach(async () => await removeTree(folder));

/** Packs names of which some are removed before tar comes to them. */
async function packVanishing(names: readonly string[], gone: readonly string[], mayVanish: boolean) {
  async function* listed(): AsyncGenerator<Buffer> {
    for (const name of gone) await rm(join(folder, name), { recursive: true });
    for (const name of names) yield Buffer.from(`./${name}`);
  }
  const packed = pack(folder, listed(), { isForGnu: true, signal: new AbortController().signal, mayVanish });
  const size = (await buffer(packed.bytes as NodeJS.ReadableStream)).length;
  await packed.check();
  return { size, vanished: packed.vanished() };
}

test('what vanishes before it is read is counted where it may, and the rest is packed', async () => {
  const { size, vanished } = await packVanishing(['a', 'b', 'c', 'd', 'd/e', 'l'], ['b', 'd', 'l'], true);
  expect([size > 2000, vanished]).toEqual([true, 4]);
});

test('it is an error elsewhere, and so is another fault beside it', async () => {
  await expect(packVanishing(['a', 'b'], ['b'], false)).rejects.toThrow(/No such file/);
  await mkdir(join(folder, 'x: Cannot stat'));
  await writeFile(join(folder, 'x: Cannot stat/y'), '');
  await chmod(join(folder, 'x: Cannot stat'), 0);
  const reading = packVanishing(['c', 'no', 'x: Cannot stat/y'], [], true);
  // Root may read everything.
  if (process.getuid?.() === 0) expect((await reading).vanished).toBe(1);
  else await expect(reading).rejects.toThrow(/Permission denied/);
  await chmod(join(folder, 'x: Cannot stat'), 0o700);
});
