import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProcess } from '@soulbox/base';
import { claimInstance } from './instance-lock.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'instance-lock-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function writeOwner(instance: number, text: string): Promise<void> {
  await mkdir(join(directory, `soulbox-${instance}`), { recursive: true });
  await writeFile(join(directory, `soulbox-${instance}`, 'server.json'), text);
}

test('a second server with the same number is refused, and the error names the first', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(other, 'spawn');
  try {
    const identity = findProcess(other.pid ?? 0);
    await writeOwner(3, JSON.stringify({ ...identity, dataDirectory: '/srv/first' }));
    await expect(claimInstance(3, '/srv/second', directory)).rejects.toMatchObject({
      reason: 'illegal_transition',
      message: expect.stringMatching(/pid \d+, data in \/srv\/first\) has instance number 3/) as string,
    });
    await using other4 = await claimInstance(4, '/srv/second', directory);
    expect(other4).toBeDefined();
  } finally {
    other.kill('SIGKILL');
  }
});

test('the claim of a dead server is taken over, even when another process has its pid', async () => {
  await writeOwner(3, JSON.stringify({ pid: process.pid, startTicks: 1, dataDirectory: '/srv/first' }));
  await using claim = await claimInstance(3, '/srv/second', directory);
  expect(claim).toBeDefined();
});

test.each(['', '{', '[]', '{"pid":-1}', 'null'])('a damaged file (%j) does not prevent a claim', async (text) => {
  await writeOwner(3, text);
  await using claim = await claimInstance(3, '/srv/second', directory);
  expect(claim).toBeDefined();
});

test('the claim ends with the server', async () => {
  {
    await using claim = await claimInstance(3, '/srv/first', directory);
    expect(claim).toBeDefined();
    expect(await readdir(join(directory, 'soulbox-3'))).toEqual(['server.json']);
  }
  expect(await readdir(directory)).toEqual([]);
});
