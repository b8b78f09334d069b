import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import { pauseSandbox } from '../pause/pause.ts';
import { resumeSandbox } from './resume.ts';
import type { Resumed } from './resume.ts';

let bench: OperationBench;
let sandboxId: string;
beforeEach(async () => {
  bench = await createOperationBench();
  sandboxId = (await bench.addRunning()).record.sandboxId;
});
afterEach(() => bench[Symbol.asyncDispose]());

/** Returns when the sandbox is frozen. Its checkpoint is saved or will be. */
async function pause(keepMemory = true): Promise<void> {
  await pauseSandbox(bench.context, sandboxId, { keepMemory, durability: 'in-background', cause: 'request' });
  expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
}
const resume = async (): Promise<Resumed> =>
  await resumeSandbox(bench.context, sandboxId, { timeoutSeconds: 60, withMemory: true, cause: 'request' });
const callsOf = (call: string): string[] => bench.driver.calls.filter((made) => made === `${call} ${sandboxId}`);

it('damage that a restore finds after processes have run leaves the files, and keeps the checkpoint', async () => {
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  const saved = (await bench.readRecord(sandboxId))?.saved;
  bench.driver.failNext('restore', new SoulBoxError('state_damaged', 'The saved memory was altered.'), true);
  await expect(resume()).rejects.toMatchObject({ message: expect.stringContaining('its files are kept') as string });
  expect(await bench.readRecord(sandboxId)).toMatchObject({
    state: 'paused',
    saved: { stateId: saved?.stateId, hasMemory: false, isDamaged: true },
  });
});

it('a server that adopts what runs during a resume knows what its memory is still loaded from', async () => {
  Object.assign(bench.driver.capabilities, { lazyRestore: true });
  const save = bench.driver.checkpoint.bind(bench.driver);
  bench.driver.checkpoint = async (instance, directory) => {
    await save(instance, directory);
    await writeFile(join(directory, 'pages-1.img'), Buffer.alloc(64 * 2 ** 20));
  };
  await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
  const stateId = (await bench.readRecord(sandboxId))?.saved?.stateId;
  const restore = bench.driver.restore.bind(bench.driver);
  const seen: unknown[] = [];
  bench.driver.restore = async (spec, memory) => {
    const { state, pagesFrom } = (await bench.readRecord(sandboxId)) ?? {};
    seen.push({ state, pagesFrom });
    return await restore(spec, memory);
  };
  bench.driver.failNext('restore', new Error('does not run'));
  await expect(resume()).rejects.toThrow();
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'paused', pagesFrom: '' });
  await resume();
  expect(seen).toEqual([
    { state: 'resuming', pagesFrom: stateId },
    { state: 'resuming', pagesFrom: stateId },
  ]);
  expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'running', pagesFrom: stateId });
});

describe('a thaw that fails', () => {
  it('before anything has run restores the sandbox with its memory', async () => {
    await pause();
    bench.driver.failNext('thaw', new SoulBoxError('sandbox_resume_failed', 'does not go on'));
    expect((await resume()).resumed).toBe(true);
    expect(callsOf('restore')).toHaveLength(1);
    expect(await bench.readRecord(sandboxId)).toMatchObject({ state: 'running', cause: 'request' });
  });

  // A tool was killed: the kernel of the sandbox may have written to the disk before it ended.
  it('when it is unknown whether anything ran keeps the files, drops the memory, and reports it', async () => {
    await pause();
    bench.nowMs += 5000;
    bench.driver.failNext('thaw', new Error('runsc was killed'));
    await expect(resume()).rejects.toMatchObject({
      reason: 'sandbox_resume_failed',
      message: expect.stringContaining('its files are kept') as string,
    });
    expect(callsOf('restore')).toEqual([]);
    expect(await bench.readRecord(sandboxId)).toMatchObject({
      ...{ state: 'paused', cause: 'resume_failed', stateSinceMs: bench.nowMs, disk: 'kept', slot: 0 },
      saved: { hasMemory: false },
    });
    expect(bench.events.at(-1)).toMatchObject({ kind: 'updated', record: { cause: 'resume_failed' } });
    await resume();
    expect([callsOf('restore'), callsOf('start')]).toEqual([[], expect.objectContaining({ length: 2 })]);
    expect(bench.driver.stateOf(sandboxId)).toBe('running');
  });

  it('says so when a sandbox with only its files cannot be booted, and keeps them', async () => {
    await pause();
    bench.driver.failNext('thaw', new Error('runsc was killed'));
    await expect(resume()).rejects.toMatchObject({ reason: 'sandbox_resume_failed' });
    bench.driver.failNext('start', new Error('no memory'));
    await expect(resume()).rejects.toMatchObject({
      reason: 'sandbox_resume_failed',
      message: 'The sandbox could not be booted from its files. They are kept.',
    });
    await resume();
    expect(bench.driver.stateOf(sandboxId)).toBe('running');
  });

  it('starts on the files when only these were to be kept', async () => {
    await pause(false);
    bench.driver.failNext('thaw', new Error('runsc was killed'));
    expect((await resume()).resumed).toBe(true);
    expect([callsOf('restore'), bench.driver.stateOf(sandboxId)]).toEqual([[], 'running']);
  });
});
