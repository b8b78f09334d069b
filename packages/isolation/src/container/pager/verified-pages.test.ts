import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Block } from './missing-memory.ts';
import { createVerifiedPages, DamagedError } from './verified-pages.ts';
import type { VerifiedPages } from './verified-pages.ts';

const blockBytes = 4096;
/** Two and a half blocks, each with its own letter. */
const content = Buffer.concat([Buffer.alloc(4096, 'a'), Buffer.alloc(4096, 'b'), Buffer.alloc(2048, 'c')]);
const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const digests = [0, 1, 2].map((index) => digestOf(content.subarray(index * 4096, (index + 1) * 4096)));

let directory: string;
let pages: VerifiedPages;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-pages-'));
  await writeFile(join(directory, 'pages-1.img'), content);
  pages = createVerifiedPages(directory, { blockBytes, parts: { 'pages-1.img': digests, 'pages-2.img': digests } });
});
afterEach(async () => {
  pages.close();
  await rm(directory, { recursive: true });
});

const blockOf = (index: number, file = 'pages-1.img'): Block => ({ file, index, pieces: new Set() });
const held = (bytes: number): string => pages.buffer.subarray(0, bytes).toString();

test('blocks are loaded whole and in any order, and the last one may be shorter', () => {
  expect([pages.hold(blockOf(2)), held(2048)]).toEqual([2048, 'c'.repeat(2048)]);
  expect([pages.hold(blockOf(0)), held(4096)]).toEqual([4096, 'a'.repeat(4096)]);
  expect([pages.hold(blockOf(1)), held(4096)]).toEqual([4096, 'b'.repeat(4096)]);
});

test('a loaded block is not read again', async () => {
  const block = blockOf(2);
  pages.hold(block);
  await truncate(join(directory, 'pages-1.img'));
  expect([pages.hold(block), held(2048)]).toEqual([2048, 'c'.repeat(2048)]);
});

test('a block that another one has replaced is read and verified again', async () => {
  const block = blockOf(0);
  pages.hold(block);
  pages.hold(blockOf(1));
  await writeFile(join(directory, 'pages-1.img'), Buffer.concat([Buffer.from('x'), content.subarray(1)]));
  expect(() => pages.hold(block)).toThrow(DamagedError);
});

test.each([
  ['changed', Buffer.concat([Buffer.alloc(4095, 'a'), Buffer.from('A'), content.subarray(4096)])],
  ['too short', content.subarray(0, 4095)],
  ['empty', Buffer.alloc(0)],
])('a block that is %s is damaged', async (_, bytes) => {
  await writeFile(join(directory, 'pages-1.img'), bytes);
  expect(() => pages.hold(blockOf(0))).toThrow(new DamagedError('Block 0 of pages-1.img does not match its digest.'));
});

test('a block without a digest is damaged: one after the last, a file of another image', async () => {
  expect(() => pages.hold(blockOf(3))).toThrow(DamagedError);
  await writeFile(join(directory, 'pages-3.img'), content);
  expect(() => pages.hold(blockOf(0, 'pages-3.img'))).toThrow(DamagedError);
});

test('a block of a missing file is damaged, with the reason', () => {
  const fault = new DamagedError('Block 1 of pages-2.img cannot be read.');
  expect(() => pages.hold(blockOf(1, 'pages-2.img'))).toThrow(fault);
  expect(() => pages.hold(blockOf(1, 'pages-2.img'))).toThrow(
    expect.objectContaining({ cause: expect.objectContaining({ code: 'ENOENT' }) as unknown }),
  );
});

test("after a damaged block none is loaded: the buffer's content does not count as the previous block", async () => {
  const block = blockOf(0);
  pages.hold(block);
  await writeFile(join(directory, 'pages-1.img'), Buffer.alloc(content.length, 'x'));
  expect(() => pages.hold(blockOf(1))).toThrow(DamagedError);
  expect(() => pages.hold(block)).toThrow(DamagedError);
});

test('each file is opened once, and closed at the end', async () => {
  await writeFile(join(directory, 'pages-2.img'), content);
  const openFiles = (): number => readdirSync('/proc/self/fd').length;
  const before = openFiles();
  for (const index of [0, 1, 2, 0]) for (const file of ['pages-1.img', 'pages-2.img']) pages.hold(blockOf(index, file));
  expect(openFiles()).toBe(before + 2);
  pages.close();
  pages.close();
  expect(openFiles()).toBe(before);
});
