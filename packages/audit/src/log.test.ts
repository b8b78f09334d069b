import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLogFiles } from './log-files.ts';
import type { LogFiles } from './log-files.ts';
import { openLog } from './log.ts';
import type { TileName } from './tiles.ts';
import { hashLeaf, rootOf } from './tree.ts';
import { provesConsistency, provesInclusion } from './verify-proof.ts';
import { leavesOf, makeKey, makeLog, testOrigin } from './testing/test-log.ts';

const damaged = expect.objectContaining({ reason: 'state_damaged' }) as Error;

test('a log grows over the bounds of tiles, in the same way whether at once or in pieces', async () => {
  await using whole = await makeLog(600);
  await using pieces = await makeLog(0);
  let size = 0;
  for (const step of [1, 254, 1, 1, 0, 255, 88]) {
    await pieces.log.append(leavesOf(size, size + step));
    size += step;
    expect(pieces.log.checkpoint.root).toEqual(rootOf(leavesOf(0, size).map((leaf) => hashLeaf(leaf))));
  }
  expect(pieces.log.checkpoint.root).toEqual(whole.log.checkpoint.root);
  for (const path of ['tile/0/000', 'tile/0/001', 'tile/0/002.p/88', 'tile/1/000.p/2', 'tile/entries/001'])
    expect(await readFile(join(pieces.folder, path))).toEqual(await readFile(join(whole.folder, path)));
  expect(await readdir(join(pieces.folder, 'tile/0'))).toEqual(['000', '001', '002.p']);
});

test('a log continues after a restart, and proves each record and each earlier size', async () => {
  await using made = await makeLog(300);
  const old = made.log.checkpoint;
  const log = await made.reopen();
  await log.append(leavesOf(300, 700));
  const { size, root } = log.checkpoint;
  for (const index of [0, 255, 256, 511, 699]) {
    const leaf = await log.readLeafHash(index);
    expect(leaf).toEqual(hashLeaf((await log.readEntries(index, index + 1))[0] ?? Buffer.alloc(0)));
    expect(provesInclusion(await log.proveInclusion(index), { leaf, index, size, root })).toBe(true);
  }
  expect(provesConsistency(await log.proveConsistency(300), old, { size, root })).toBe(true);
  expect(await log.readEntries(250, 260)).toEqual(leavesOf(250, 260));
  expect(await log.readEntries(690, 9999)).toEqual(leavesOf(690, 700));
});

test('nothing is signed when somebody else has published a checkpoint meanwhile', async () => {
  await using made = await makeLog(5);
  const other = await made.reopen();
  await other.append(leavesOf(5, 8));
  await expect(made.log.append(leavesOf(5, 6))).rejects.toThrow(damaged);
  expect((await made.reopen()).checkpoint.size).toBe(8);
});

test('nothing is signed on an older checkpoint that was put back', async () => {
  await using made = await makeLog(5);
  const old = await readFile(join(made.folder, 'checkpoint'));
  await made.log.append(leavesOf(5, 8));
  await writeFile(join(made.folder, 'checkpoint'), old);
  await expect(made.log.append(leavesOf(8, 9))).rejects.toThrow(damaged);
});

test('a log with another key, changed tiles or a missing tile is not opened', async () => {
  await using made = await makeLog(300);
  await expect(made.reopen(makeKey())).rejects.toThrow(damaged);
  const tile = join(made.folder, 'tile/0/001.p/44');
  const bytes = await readFile(tile);
  bytes[7] = (bytes[7] ?? 0) ^ 1;
  await writeFile(tile, bytes);
  await expect(made.reopen()).rejects.toThrow(damaged);
  await rm(tile);
  await expect(made.reopen()).rejects.toThrow(damaged);
});

test('a crash at any write leaves a log that opens with its old or its new checkpoint', async () => {
  await using made = await makeLog(250);
  const real = openLogFiles(made.folder);
  const next = leavesOf(250, 520);
  let old = made.log.checkpoint.size;
  for (let crashAt = 0; ; crashAt += 1) {
    let writes = 0;
    const crash = (): void => {
      writes += 1;
      if (writes > crashAt) throw new Error('killed');
    };
    const crashing =
      <Args extends unknown[]>(call: (...args: Args) => Promise<void>) =>
      async (...args: Args): Promise<void> => {
        crash();
        await call(...args);
      };
    const files: LogFiles = {
      ...real,
      writeTile: crashing((name: TileName, bytes: Uint8Array) => real.writeTile(name, bytes)),
      writeCheckpoint: crashing((note: string) => real.writeCheckpoint(note)),
      removePartials: crashing((name: TileName) => real.removePartials(name)),
    };
    const log = await openLog({ files, privateKey: made.privateKey, newOrigin: testOrigin });
    expect(log.checkpoint.size).toBe(old);
    const outcome = await log.append(next).then(
      () => true,
      () => false,
    );
    const reopened = await made.reopen();
    old = reopened.checkpoint.size;
    if (old === 520) {
      expect(reopened.checkpoint.root).toEqual(rootOf(leavesOf(0, 520).map((leaf) => hashLeaf(leaf))));
      expect(await reopened.readEntries(0, 520)).toEqual(leavesOf(0, 520));
      expect(outcome || crashAt > 5).toBe(true);
      return;
    }
    expect([outcome, old]).toEqual([false, 250]);
  }
});

test('signatures of witnesses are added to the checkpoint that they are for, once', async () => {
  await using made = await makeLog(3);
  const { checkpoint } = made.log;
  const line = '\u2014 witness.example/w1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n';
  await made.log.addSignatures(checkpoint, [line]);
  await made.log.addSignatures(checkpoint, [line]);
  expect(made.log.checkpoint.note).toBe(checkpoint.note + line);
  await made.log.append(leavesOf(3, 4));
  await made.log.addSignatures(checkpoint, [line]);
  expect(made.log.checkpoint.note).not.toContain('witness');
});

test('files and folders of a log can be read by their owner only', async () => {
  await using made = await makeLog(3);
  const { mode } = await stat(join(made.folder, 'tile/entries/000.p/3'));
  expect(mode & 0o777).toBe(0o600);
  await mkdir(join(made.folder, 'unrelated'));
  expect((await made.reopen()).checkpoint.size).toBe(3);
});
