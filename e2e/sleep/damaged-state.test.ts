/** @module-tag violation */
import { open, readdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { describe, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { askApi } from '../harness/http.ts';
import { needs, skipWithout } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

const states = join(server.dataDirectory, 'states');
const attemptsMax = 10;
const soulbox = join(import.meta.dirname, '../../apps/cli/src/main.ts');

/** Pauses a sandbox and returns the folder of its checkpoint. Again if another file has made one at the same time. */
async function pauseForState(sandbox: Sandbox): Promise<string> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const before = new Set(await readdir(states).catch(() => []));
    await sandbox.pause();
    const [added, ...others] = (await readdir(states)).filter((name) => !before.has(name));
    if (added !== undefined && others.length === 0) return join(states, added);
    await sandbox.connect();
  }
  throw new Error('The new checkpoint is not known.');
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

/** The response to a resume of it. The sandbox must be paused afterwards, as before. */
async function tryResume(sandbox: Sandbox): Promise<{ status: number; message: string }> {
  const { status, json } = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/connect`, { timeout: 60 });
  if (status !== 201) expect((await sandbox.getInfo()).state).toBe('paused');
  return { status, message: (json as { message?: string }).message ?? '' };
}

test('a flipped byte in any file of a checkpoint is found before the resume, and the repaired checkpoint works', async () => {
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

test('a missing and a truncated file are reported as such', async () => {
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

test(
  'a large disk is recognized by its time of change, and later by its content',
  { tags: ['long'], timeout: 120_000 },
  async () => {
    const sandbox = await createSandbox();
    await sandbox.commands.run('head -c 300M /dev/urandom > large; sha256sum large > sum');
    await sandbox.pause();
    const folder = join(server.dataDirectory, 'sandboxes', sandbox.sandboxId);
    const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.img'));
    const disk = join(folder, name);
    const { blocks, mtimeNs } = await stat(disk, { bigint: true });
    expect(blocks * 512n).toBeGreaterThan(300n * 2n ** 20n);

    await until('its digests', async () => (await readdir(folder)).includes(`${name}.digests`), 60_000);
    expect((await stat(disk, { bigint: true })).mtimeNs).toBe(mtimeNs);
    await flipByte(disk, 200 * 2 ** 20);
    const refused = await tryResume(sandbox);
    expect(refused).toMatchObject({
      status: 500,
      message: expect.stringMatching(/is altered in block 200\./) as string,
    });
    await flipByte(disk, 200 * 2 ** 20);
    await sandbox.connect();
    expect((await sandbox.commands.run('sha256sum -c sum')).stdout).toBe('large: OK\n');

    await sandbox.pause();
    await flipByte(disk, 200 * 2 ** 20);
    const message = expect.stringContaining('was written to, and its previous content is unknown') as string;
    expect(await tryResume(sandbox)).toMatchObject({ status: 500, message });
  },
);

interface KeptCheckpoint {
  readonly stateId: string;
  readonly sandboxId: string;
  readonly directory: string;
}

/** Calls `soulbox damaged`. */
async function damaged(...args: string[]): Promise<unknown> {
  const command = [soulbox, 'damaged', ...args, '--data-dir', server.dataDirectory, '--json'];
  return JSON.parse((await runNode(command, {})).stdout);
}

/** Waits until the checkpoint of the sandbox is among the damaged ones, with these files, and deletes it. */
async function expectKept({ sandboxId }: Sandbox, files: readonly string[]): Promise<void> {
  const kept = await until('the checkpoint', async () =>
    ((await damaged('list')) as KeptCheckpoint[]).find((checkpoint) => checkpoint.sandboxId === sandboxId),
  );
  expect(await readdir(kept.directory)).toEqual(expect.arrayContaining(['manifest.json', ...files]));
  expect(await damaged('delete', kept.stateId)).toEqual({ stateId: kept.stateId, deleted: true });
  expect(await damaged('list')).toEqual([]);
}

/** A sandbox with a file and with a program that holds 100 MiB of random bytes. */
async function createHolder(): Promise<Sandbox> {
  const sandbox = await createSandbox();
  await sandbox.files.write('kept.txt', 'kept');
  const hold =
    'import os, time; data = [os.urandom(1 << 20) for _ in range(100)]; open("/tmp/held", "w"); time.sleep(600)';
  void sandbox.commands.run(`python3 -c '${hold}'`, { timeoutMs: 0 }).catch(() => undefined);
  await until('the memory', async () => await sandbox.files.exists('/tmp/held'), 30_000);
  return sandbox;
}

/** Pauses a holder and alters a page of what it holds. Returns the names of the files with pages. */
async function pauseDamaged(sandbox: Sandbox): Promise<string[]> {
  const directory = await pauseForState(sandbox);
  const parts = (await readdir(directory)).filter((name) => name.startsWith('pages'));
  const sizes = await Promise.all(parts.map(async (name) => (await stat(join(directory, name))).size));
  await flipByte(join(directory, parts[sizes.indexOf(Math.max(...sizes))] ?? ''), 50 * 2 ** 20);
  return parts;
}

/** The next resume boots it from its files. */
async function expectFilesOnly(sandbox: Sandbox): Promise<void> {
  expect((await sandbox.getInfo()).state).toBe('paused');
  await sandbox.connect();
  const { stdout } = await sandbox.commands.run('cat kept.txt; readlink /proc/[0-9]*/exe | grep -c python3; true');
  expect(stdout).toBe('kept0\n');
}

const didResume = async (sandbox: Sandbox): Promise<boolean> =>
  await sandbox.connect().then(
    () => true,
    () => false,
  );

test('a damaged page ends its sandbox, and the checkpoint is kept for inspection', async (context) => {
  skipWithout('lazyRestore', context);
  const sandbox = await createHolder();
  const parts = await pauseDamaged(sandbox);
  if (await didResume(sandbox)) {
    const cause = await until('its end', async () => {
      const { json } = await askApi('GET', `/events/sandboxes/${sandbox.sandboxId}?types=sandbox.lifecycle.killed`);
      return (json as { eventData: { cause: string } }[])[0]?.eventData.cause;
    });
    expect(cause).toBe('damaged');
  } else {
    // The page was read before envd had confirmed the resume: see the next test.
    await expectFilesOnly(sandbox);
  }
  await expectKept(sandbox, parts);
});

describe('a page that proves damaged during a resume leaves the sandbox paused with its files', () => {
  needs('lazyRestore');

  test.each([
    ['resumed afresh', expectFilesOnly],
    ['killed', async (sandbox: Sandbox) => expect(await sandbox.kill()).toBe(true)],
  ] as const)('and the checkpoint is kept for inspection when the sandbox is %s', async (_, leave) => {
    const sandbox = await createHolder();
    const record = join(server.dataDirectory, 'sandboxes', sandbox.sandboxId, 'container.json');
    const { initPid } = JSON.parse(await readFile(record, 'utf8')) as { initPid: number };
    // envd never confirms the resume, so the page is read before it could.
    process.kill(initPid, 'SIGSTOP');
    const parts = await pauseDamaged(sandbox);
    expect(await didResume(sandbox)).toBe(false);
    expect(await damaged('list')).toEqual([]);
    await leave(sandbox);
    await expectKept(sandbox, parts);
  });
});
