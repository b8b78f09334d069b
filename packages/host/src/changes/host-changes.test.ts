import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { noteHostChanges, readHostChanges } from './host-changes.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-changes-'));
  file = join(directory, 'there/changes.json');
});
afterEach(async () => await removeTree(directory));

test('a parameter keeps its value from before the first change, and all other changes accumulate', async () => {
  expect((await readHostChanges(file)).sysctls).toEqual({});
  await noteHostChanges(
    { sysctls: { 'a.b': { before: '1', set: '5' } }, packages: ['crun'], fastGroupMoves: true },
    file,
  );
  await noteHostChanges({ sysctls: { 'a.b': { before: '5', set: '9' } }, packages: ['crun', 'nftables'] }, file);
  expect(await readHostChanges(file)).toEqual({
    sysctls: { 'a.b': { before: '1', set: '9' } },
    cgroupMounts: [],
    cgroupControllers: [],
    fastGroupMoves: true,
    packages: ['crun', 'nftables'],
  });
});

test('kernel changes are forgotten after a reboot, and packages are not', async () => {
  await noteHostChanges(
    { sysctls: { 'a.b': { before: '1', set: '5' } }, packages: ['crun'], fastGroupMoves: true },
    file,
  );
  const noted = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...noted, bootId: 'another' }));
  expect(await readHostChanges(file)).toMatchObject({ sysctls: {}, fastGroupMoves: false, packages: ['crun'] });
});

test('a damaged file is not treated as a missing one', async () => {
  await noteHostChanges({ packages: ['crun'] }, file);
  await writeFile(file, '{"formatVersion":2}');
  await expect(readHostChanges(file)).rejects.toMatchObject({ reason: 'config_invalid' });
});
