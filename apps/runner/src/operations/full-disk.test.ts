/** @module-tag violation */
import { mkdir, mkdtemp, open, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';
import { startRunnerProcess, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { RunnerProcess } from '@soulbox/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const instance = 8;
const mib = 2 ** 20;
let folder: string;
/** A file system of its own of 3 GiB. */
let disk: string;
let runner: RunnerProcess;
let templateId: string;
let sandboxId: string;

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  folder = await mkdtemp(join(testDirectory, 'full-'));
  disk = join(folder, 'disk');
  const image = join(folder, 'image');
  const file = await open(image, 'wx');
  await file.truncate(3072 * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-N', '4096', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  await mkdir(join(disk, 'data'), { mode: 0o700 });
  templateId = (await openTemplateStore(testTemplatesDirectory, silentLogger).find('base'))?.templateId ?? '';
  await openDiskReserve(join(disk, 'data', 'reserve')).restore();
  runner = await startRunnerProcess(instance, join(disk, 'data'));
});

afterAll(async () => {
  await runner.stop();
  await run('umount', ['--', disk]);
  await removeTree(folder);
});

beforeEach(async () => {
  const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: true };
  ({ sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as { sandboxId: string });
});

afterEach(async () => {
  await freeDisk();
  for (const { sandboxId: id } of await list()) await runner.call('killSandbox', { sandboxId: id });
  for (const name of ['states', 'layers', 'snapshots'])
    await expect.poll(async () => await readdir(join(disk, 'data', name)), { timeout: 5000 }).toEqual([]);
});

async function list(): Promise<{ sandboxId: string; state: string }[]> {
  return ((await runner.call('listSandboxes', {}))['sandboxes'] ?? []) as { sandboxId: string; state: string }[];
}

const ballast = (): string => join(disk, 'ballast');

async function freeDisk(): Promise<void> {
  await rm(ballast(), { recursive: true, force: true });
}

/** Fills the disk except for `leaveBytes`. */
async function fillDisk(leaveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk);
  // The file system needs some space for its own maps.
  const forMaps = 8 * mib;
  await run('fallocate', ['--length', String(bavail * bsize - leaveBytes - forMaps), ballast()]);
  if (leaveBytes === 0)
    await expect(
      run('dd', ['if=/dev/zero', `of=${ballast()}`, 'bs=4k', 'oflag=append', 'conv=notrunc']),
    ).rejects.toThrow('No space left');
}

async function useUpInodes(): Promise<void> {
  await mkdir(ballast());
  const create = async (): Promise<never> => {
    for (let number = 0; ; number++) await writeFile(join(ballast(), String(number)), '');
  };
  await expect(create()).rejects.toMatchObject({ code: 'ENOSPC' });
}

const exhaustions = [
  ['is full', async (): Promise<void> => await fillDisk(0)],
  ['has no inodes left', useUpInodes],
] as const;

const pause = async (): Promise<unknown> => await runner.call('pauseSandbox', { sandboxId, keepMemory: true });
const resume = async (): Promise<unknown> =>
  await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 600, withMemory: true });
const snapshot = async (): Promise<unknown> => await runner.call('makeSnapshot', { sandboxId, snapshotId: 's1' });
const fork = async (): Promise<unknown> =>
  await runner.call('forkSandbox', { source: { case: 'sandboxId', value: sandboxId }, count: 2 });

/** The error with the reason `disk_full`, and no other. */
const noRoom = /^\[resource_exhausted\] .*disk/;

async function expectRunning(): Promise<void> {
  expect(await list()).toEqual([expect.objectContaining({ sandboxId, state: 'SANDBOX_STATE_RUNNING' })]);
  expect(await runner.call('ask', { sandboxId })).toBe(true);
}

describe.each(exhaustions)('a disk of the host that %s', (_what, exhaust) => {
  it.each([
    ['a pause', pause],
    ['a snapshot', snapshot],
    ['a fork', fork],
  ])('fails %s with that reason, the sandbox continues, and the step works once there is room', async (_step, act) => {
    await exhaust();
    await expect(act()).rejects.toThrow(noRoom);
    await freeDisk();
    await expectRunning();
    await act();
    await runner.call('deleteSnapshot', { snapshotId: 's1' });
    await resume();
    expect(await runner.call('ask', { sandboxId })).toBe(true);
  });

  it('fails a resume with that reason and keeps the checkpoint, and the sandbox is intact once there is room', async () => {
    await pause();
    await exhaust();
    await expect(resume()).rejects.toThrow(noRoom);
    expect(await list()).toEqual([expect.objectContaining({ sandboxId, state: 'SANDBOX_STATE_PAUSED' })]);
    await freeDisk();
    await resume();
    await expectRunning();
  });

  it('fails a create with that reason, and nothing is left of it', async () => {
    await exhaust();
    const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: true };
    await expect(runner.call('createSandbox', request)).rejects.toThrow(noRoom);
    await expectRunning();
    expect((await readdir(join(disk, 'data', 'sandboxes'))).sort()).toEqual([sandboxId, `${sandboxId}.json`]);
  });

  it.each([
    ['running', () => Promise.resolve()],
    ['paused', pause],
  ])('does not delay the end of a %s sandbox, whose files are removed', async (_state, prepare) => {
    await prepare();
    await exhaust();
    expect(await runner.call('killSandbox', { sandboxId })).toEqual({ existed: true });
    expect(await list()).toEqual([]);
    expect(await readdir(join(disk, 'data', 'sandboxes'))).toEqual([]);
  });
});

it('a pause that may need more space than the disk has is refused before the sandbox is frozen', async () => {
  await fillDisk(300 * mib);
  await expect(pause()).rejects.toThrow(
    /Saving the sandbox can need \d+ MiB of the host's disk, but only \d+ MiB are neither reserved nor promised/,
  );
  await expectRunning();
});
