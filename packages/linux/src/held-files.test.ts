import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHeldFiles } from './held-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'held-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const openFiles = (): number => readdirSync('/proc/self/fd').length;

test('a file is opened once, shows its present content, and is closed with its owner', () => {
  const held = createHeldFiles();
  const path = join(folder, 'counter');
  const before = openFiles();
  const read = held.readFor('a');
  for (const text of ['1', '22', '3']) {
    writeFileSync(path, text);
    expect(read(path)).toBe(text);
    expect(openFiles()).toBe(before + 1);
  }
  held.release('a');
  held.release('a');
  expect(openFiles()).toBe(before);
  expect(() => held.readFor('b')(join(folder, 'none'))).toThrow('ENOENT');
  expect(openFiles()).toBe(before);
});

test('a file whose process has ended is opened again, and its absence is reported', () => {
  const held = createHeldFiles();
  const group = '/sys/fs/cgroup/cpuacct/soulbox-held-files';
  const path = join(group, 'cpuacct.usage');
  mkdirSync(group);
  try {
    const read = held.readFor('a');
    expect(read(path)).toBe('0\n');
    rmdirSync(group);
    expect(() => read(path)).toThrow('ENOENT');
    mkdirSync(group);
    expect(read(path)).toBe('0\n');
  } finally {
    held.release('a');
    rmdirSync(group);
  }
});

test('a file that is longer than the buffer is read whole', () => {
  const held = createHeldFiles();
  const path = join(folder, 'long');
  writeFileSync(path, 'x'.repeat(20_000));
  expect(held.readFor('a')(path)).toHaveLength(20_000);
  held.release('a');
});
