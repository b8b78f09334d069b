import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeInside } from './write-inside.ts';

test('a folder in place of the file makes the write fail quietly, and no draft remains', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-inside-'));
  try {
    await mkdir(join(folder, 'ca.pem'));
    expect(await writeInside(join(folder, 'ca.pem'), 'text')).toBe(false);
    expect(await readdir(folder)).toEqual(['ca.pem']);
    expect(await writeInside(join(folder, 'other.pem'), 'text')).toBe(true);
    expect(await readFile(join(folder, 'other.pem'), 'utf8')).toBe('text');
  } finally {
    await rm(folder, { recursive: true });
  }
});
