import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createSigner } from './note.ts';
import { checkpointText } from './checkpoint.ts';
import { leafOf } from './record.ts';
import { decodeBundle, encodeBundle } from './tiles.ts';
import { hashLeaf, rootOf } from './tree.ts';
import { readVerifier } from './verifier-source.ts';
import { verifyLog } from './verify-log.ts';
import type { VerifyReport } from './verify-log.ts';
import { draftOf, leavesOf, makeKey, makeLog, positionOf } from './testing/test-log.ts';
import type { TestLog } from './testing/test-log.ts';

const size = 700;
/** In the middle of the second bundle. */
const victim = 300;

const bundlePath = (made: TestLog, index: number): string =>
  join(made.folder, 'tile/entries', index === 2 ? '002.p/188' : `00${index}`);

/** Replaces the entries of the whole log, as somebody does who can write the files but has no key. */
async function rewriteEntries(made: TestLog, change: (entries: Buffer[]) => readonly Buffer[]): Promise<void> {
  const entries: Buffer[] = [];
  for (const [index, width] of [256, 256, 188].entries())
    entries.push(...decodeBundle(await readFile(bundlePath(made, index)), width));
  const changed = change(entries);
  for (let index = 0; index < 3; index += 1) {
    const part = changed.slice(index * 256, index === 2 ? undefined : (index + 1) * 256);
    await writeFile(bundlePath(made, index), encodeBundle(part));
  }
}

/** Replaces the entries, and all hashes and tiles with them; `privateKey` signs the new root. */
async function forge(made: TestLog, entries: readonly Buffer[], privateKey: string): Promise<void> {
  await rm(join(made.folder, 'tile'), { recursive: true });
  await rm(join(made.folder, 'checkpoint'));
  await (await made.reopen(privateKey)).append(entries);
}

const codes = ({ faults }: VerifyReport): string[] => faults.map(({ code }) => code);
const changedLeaf = Buffer.from(leafOf(draftOf({ action: 'sandbox.list' }), positionOf(victim)));
const verify = (made: TestLog, earlier: readonly string[] = []): VerifyReport =>
  verifyLog({ directory: made.folder, key: made.log.verifierKey, earlier });

test('an untouched log has no faults, also compared with its own past', async () => {
  await using made = await makeLog(0);
  const earlier = [made.log.checkpoint.note];
  for (const [from, to] of [
    [0, 1],
    [1, 256],
    [256, 257],
    [257, size],
  ] as const) {
    await made.log.append(leavesOf(from, to));
    earlier.push(made.log.checkpoint.note);
  }
  expect(verify(made, earlier)).toMatchObject({ faults: [], records: size, size, incomplete: 0 });
});

describe('what somebody without the key does to the records is found', () => {
  const cases: readonly (readonly [string, string, (entries: Buffer[]) => readonly Buffer[]])[] = [
    ['a record is deleted', 'deleted', (entries) => entries.toSpliced(victim, 1)],
    ['the first record is deleted', 'deleted', (entries) => entries.slice(1)],
    ['many records are deleted', 'deleted', (entries) => entries.toSpliced(victim, 100)],
    ['the newest records are cut off', 'cut', (entries) => entries.slice(0, -1)],
    ['a record is changed', 'changed', (entries) => entries.with(victim, changedLeaf)],
    ['one bit of a record is changed', 'changed', (entries) => entries.with(victim, flip(entries[victim]))],
    ['two records are exchanged', 'reordered', (entries) => exchange(entries, victim, victim + 1)],
    ['two distant records are exchanged', 'reordered', (entries) => exchange(entries, 3, 650)],
    ['a record is inserted', 'inserted', (entries) => entries.toSpliced(victim, 0, changedLeaf)],
    ['a record is doubled', 'inserted', (entries) => entries.toSpliced(victim, 0, entries[victim] as Buffer)],
    ['a record is added at the end', 'inserted', (entries) => [...entries, changedLeaf]],
  ];
  test.each(cases)('%s: %s', async (_, code, change) => {
    await using made = await makeLog(size);
    await rewriteEntries(made, change);
    expect(codes(verify(made))).toEqual([code]);
  });

  test('a file of records is deleted: missing-file', async () => {
    await using made = await makeLog(size);
    await rm(bundlePath(made, 1));
    expect(codes(verify(made))).toEqual(['missing-file']);
  });

  test('a record is changed together with its hash: rewritten', async () => {
    await using made = await makeLog(size);
    await rewriteEntries(made, (entries) => entries.with(victim, changedLeaf));
    const tile = join(made.folder, 'tile/0/001');
    const hashes = await readFile(tile);
    hashLeaf(changedLeaf).copy(hashes, (victim - 256) * 32);
    await writeFile(tile, hashes);
    expect(codes(verify(made))).toEqual(expect.arrayContaining(['changed-tile', 'rewritten']));
  });

  test('a bit anywhere in any kind of file is changed', async () => {
    await using made = await makeLog(260);
    for (const path of ['checkpoint', 'tile/0/000', 'tile/0/001.p/4', 'tile/1/000.p/1', 'tile/entries/001.p/4']) {
      const file = join(made.folder, path);
      const bytes = await readFile(file);
      for (let at = 0; at < bytes.length; at += path === 'tile/0/000' ? 331 : 37) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        await writeFile(file, changed);
        expect(codes(verify(made)), `${path} at ${at}`).not.toEqual([]);
      }
      await writeFile(file, bytes);
    }
    expect(codes(verify(made))).toEqual([]);
  });
});

describe('what somebody does who can sign is found', () => {
  test('all is forged and signed with another key: unknown-key', async () => {
    await using made = await makeLog(size);
    const before = made.log.checkpoint.note;
    await forge(made, leavesOf(0, size).with(victim, changedLeaf), makeKey());
    expect(codes(verify(made))).toContain('unknown-key');
    expect(codes(verify(made, [before]))).toContain('fork');
  });

  test('the key is stolen and history is signed again: fork, by an earlier checkpoint', async () => {
    await using made = await makeLog(size);
    const { note } = made.log.checkpoint;
    await forge(made, leavesOf(0, size + 50).with(victim, changedLeaf), made.privateKey);
    expect(codes(verify(made))).toEqual([]);
    expect(codes(verify(made, [note]))).toEqual(['fork']);
  });

  test('the server numbers records with a gap: gap, wrong-number', async () => {
    await using made = await makeLog(0);
    const leaves = leavesOf(0, size);
    await made.log.append(leaves.toSpliced(victim, 1));
    await writeFile(join(made.folder, 'log.json'), JSON.stringify({ from: 0 }));
    expect(codes(verify(made)).slice(0, 2)).toEqual(['wrong-number', 'gap']);
  });
});

describe('an old state is found', () => {
  test('an old checkpoint is replayed: rolled-back', async () => {
    await using made = await makeLog(size);
    const old = made.log.checkpoint.note;
    await made.log.append(leavesOf(size, size + 10));
    const now = made.log.checkpoint.note;
    await writeFile(join(made.folder, 'checkpoint'), old);
    expect(codes(verify(made, [now]))).toEqual(['rolled-back']);
  });

  test("yesterday's folder is restored, and the log goes on from there: rolled-back, later fork", async () => {
    await using made = await makeLog(size);
    const yesterday = `${made.folder}-yesterday`;
    await cp(made.folder, yesterday, { recursive: true });
    await made.log.append(leavesOf(size, size + 10));
    const today = made.log.checkpoint.note;
    await rm(made.folder, { recursive: true });
    await cp(yesterday, made.folder, { recursive: true });
    await rm(yesterday, { recursive: true });
    expect(codes(verify(made, [today]))).toEqual(['rolled-back']);
    await (await made.reopen()).append([...leavesOf(size, size + 20, { action: 'sandbox.kill' })]);
    expect(codes(verify(made, [today]))).toEqual(['fork']);
  });

  test('a checkpoint of another log does not count as an earlier one: unknown-key', async () => {
    await using made = await makeLog(5);
    await using other = await makeLog(3);
    expect(codes(verify(made, [other.log.checkpoint.note]))).toEqual(['unknown-key']);
  });
});

test('too few witnesses are a fault; their signatures are verified', async () => {
  await using made = await makeLog(5);
  const witness = createSigner('witness.example', makeKey());
  const text = checkpointText({ ...made.log.checkpoint });
  const line = witness.sign(text).split('\n\n').at(-1) ?? '';
  const options = { directory: made.folder, key: made.log.verifierKey, witnesses: [witness.verifierKey], quorum: 1 };
  expect(codes(verifyLog(options))).toEqual(['too-few-witnesses']);
  await writeFile(join(made.folder, 'checkpoint'), made.log.checkpoint.note + line);
  expect(codes(verifyLog(options))).toEqual([]);
  const wrong = witness.sign(text.replace('5', '6')).split('\n\n').at(-1) ?? '';
  await writeFile(join(made.folder, 'checkpoint'), made.log.checkpoint.note + wrong);
  expect(codes(verifyLog(options))).toEqual(['too-few-witnesses']);
});

test('actions without an outcome are counted', async () => {
  await using made = await makeLog(0);
  const of = (seq: number, stage: 'admitted' | 'outcome', id: string): Buffer =>
    Buffer.from(leafOf(draftOf({ stage, request: { id, method: 'POST', route: '/sandboxes' } }), positionOf(seq)));
  await made.log.append([of(0, 'admitted', 'request1'), of(1, 'admitted', 'request2'), of(2, 'outcome', 'request1')]);
  expect(verify(made)).toMatchObject({ incomplete: 1, faults: [], records: 3 });
});

test('an empty log, and a folder without a log', async () => {
  await using made = await makeLog(0);
  expect(verify(made)).toMatchObject({ faults: [], records: 0, size: 0 });
  await rm(join(made.folder, 'checkpoint'));
  expect(codes(verify(made))).toEqual(['no-checkpoint']);
});

test('the verifier has at most 300 lines, and runs alone without our packages', async () => {
  const source = await readFile(join(import.meta.dirname, 'verify-log.ts'), 'utf8');
  expect(source.split('\n').length).toBeLessThanOrEqual(300);
  expect([...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name?.startsWith('node:'))).not.toContain(false);
  await using made = await makeLog(size);
  const program = join(made.folder, 'verify.mjs');
  await writeFile(program, await readVerifier());
  const runIt = promisify(execFile);
  const { stdout } = await runIt(process.execPath, [program, '--key', made.log.verifierKey]);
  expect(JSON.parse(stdout)).toMatchObject({ records: size, faults: [], isKeyGiven: true });
  await rewriteEntries(made, (entries) => entries.slice(0, -1));
  await expect(runIt(process.execPath, [program, made.folder])).rejects.toMatchObject({ code: 1 });
  for (const wrong of [['--help'], ['--earlier', join(made.folder, 'none')], ['--key']]) {
    const refusal = await runIt(process.execPath, [program, ...wrong]).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/\nusage: node verify\.mjs .*\n$/) as string,
    });
    expect((refusal as { stderr: string }).stderr).not.toContain('    at ');
  }
});

test('the roots of writer and verifier are those of the same tree', async () => {
  for (const count of [1, 2, 3, 255, 256, 257, 511, 513]) {
    await using made = await makeLog(count);
    expect(made.log.checkpoint.root).toEqual(rootOf(leavesOf(0, count).map((leaf) => hashLeaf(leaf))));
    expect(codes(verify(made))).toEqual([]);
  }
});

function flip(entry: Buffer | undefined): Buffer {
  const changed = Buffer.from(entry ?? []);
  changed[20] = (changed[20] ?? 0) ^ 1;
  return changed;
}

function exchange(entries: readonly Buffer[], one: number, other: number): Buffer[] {
  return entries.with(one, entries[other] as Buffer).with(other, entries[one] as Buffer);
}
