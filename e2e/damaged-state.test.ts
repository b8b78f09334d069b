import { open, readdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { expect, test } from 'vitest';
import { askApi } from './harness/http.ts';
import { needs } from './harness/needs.ts';
import { createSandbox } from './harness/sandbox.ts';
import { server } from './harness/server.ts';

needs('checkpoint');

const states = join(server.dataDirectory, 'states');

/** Pauses a sandbox and gives the folder of its state: the only one that is new. */
async function pauseForState(sandbox: Sandbox): Promise<string> {
  const before = new Set(await readdir(states).catch(() => []));
  await sandbox.pause();
  const [added, ...others] = (await readdir(states)).filter((name) => !before.has(name));
  if (added === undefined || others.length > 0) throw new Error(`not one new state: ${String(added)} ${others.join()}`);
  return join(states, added);
}

async function flipByte(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0x55;
    await file.write(byte, 0, 1, offset);
  } finally {
    await file.close();
  }
}

/** What a resume of it answers; the sandbox must be paused afterwards, as before. */
async function tryResume(sandbox: Sandbox): Promise<{ status: number; message: string }> {
  const { status, json } = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/connect`, { timeout: 60 });
  if (status !== 201) expect((await sandbox.getInfo()).state).toBe('paused');
  return { status, message: (json as { message?: string }).message ?? '' };
}

test('a flipped byte in any file of a state is found before the sandbox is reached, and the state stays usable once mended', async () => {
  const sandbox = await createSandbox();
  await sandbox.files.write('kept.txt', 'kept');
  const directory = await pauseForState(sandbox);
  const names = (await readdir(directory)).toSorted();
  expect(names.length).toBeGreaterThan(3);
  for (const name of names) {
    const path = join(directory, name);
    const { size } = await stat(path);
    if (size === 0) continue;
    const offset = Math.floor(size / 2);
    await flipByte(path, offset);
    const outcome = await tryResume(sandbox);
    expect({ name, status: outcome.status }).not.toEqual({ name, status: 201 });
    expect(outcome.message).not.toMatch(/undefined|internal/i);
    await flipByte(path, offset);
  }
  await sandbox.connect();
  expect(await sandbox.files.read('kept.txt')).toBe('kept');
});

test('a missing and a truncated file are told as such', async () => {
  const sandbox = await createSandbox();
  const directory = await pauseForState(sandbox);
  const names = (await readdir(directory)).filter((name) => name !== 'manifest.json');
  const [name = ''] = names.filter((candidate) => candidate.startsWith('pages'));
  const path = join(directory, name);
  await rename(path, `${directory}.away`);
  expect((await tryResume(sandbox)).status).toBe(500);
  await rename(`${directory}.away`, path);

  const whole = await readFile(path);
  await truncate(path, whole.length - 1);
  expect((await tryResume(sandbox)).status).toBe(500);
  await writeFile(path, whole);
  await sandbox.connect();
  expect((await sandbox.commands.run('echo fine')).stdout).toBe('fine\n');
});
