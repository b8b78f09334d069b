import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { readBootId } from '../host/boot-id.ts';
import { readCpuType } from '../host/cpu-type.ts';
import type { HostRecord, Work } from '../registry/record.ts';
import { recoverStep } from './recover-step.ts';
import { retrySteps } from './retry-steps.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import type { TenantSandbox } from '../registry/table.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const work = (more: Partial<Work> = {}): Work => ({
  ...{ from: 'running', bootId: readBootId(), stateId: '', layerId: '', keepMemory: true, promised: false },
  mayRun: false,
  ...more,
});
const otherBoot = 'another boot of the host';
const neverEnd = (sandboxId: string): Promise<boolean> => Promise.reject(new Error(`${sandboxId} is lost`));

/** Makes a sealed checkpoint with arbitrary memory. */
async function seal(checkpointId: string): Promise<void> {
  await using draft = await bench.context.host.checkpoints.begin(checkpointId);
  await writeFile(`${draft.directory}/pages-1.img`, 'memory');
  await draft.seal({
    ...{ createdAtMs: 0, driver: 'container', driverVersion: '', hasMemory: true, cpuType: await readCpuType() },
    ...{ templateId: 'base', runtimeName: '', cpuCount: 1, memoryMb: 1, diskMb: 1, layers: [], tenant: null },
  });
}

/** The sandbox that a dead server left, with a disk in its folder, as every sandbox has. */
async function left(record: Partial<HostRecord>, processes: 'running' | 'none'): Promise<TenantSandbox> {
  const { disk, ...rest } = record;
  const sandbox = await bench.addLeft(processes === 'running' ? { ...rest, disk: 'new' } : record, processes);
  if (processes === 'none') await giveDisk(sandbox.record.sandboxId);
  else if (disk !== undefined) await bench.context.table.update(sandbox, { disk });
  return sandbox;
}

async function giveDisk(sandboxId: string): Promise<void> {
  const { host } = bench.context;
  const directory = host.store.directoryOf(sandboxId);
  await mkdir(directory, { recursive: true });
  await writeFile(bench.driver.diskPath(sandboxId, directory), 'disk');
}

const savedAs = (checkpointId: string) => ({ stateId: checkpointId, hasMemory: true, sizeBytes: 6 });
const onDisk = async ({ record }: TenantSandbox) => await bench.readRecord(record.sandboxId);

describe('an interrupted pause', () => {
  it('is completed if its checkpoint is sealed and the processes are gone, as after a crash of only the server', async () => {
    await seal('s1');
    const sandbox = await left({ state: 'pausing', disk: 'kept', work: work({ stateId: 's1' }) }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { stateId: 's1' }, slot: 0 });
  });

  // The host has crashed: data that the memory considers written may not be on the disk.
  it('keeps only the files if the host has booted since, because the disk may lack the last writes of the old memory', async () => {
    await seal('s1');
    const lost = work({ stateId: 's1', bootId: otherBoot });
    const sandbox = await left({ state: 'pausing', disk: 'kept', work: lost }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { hasMemory: false } });
  });

  it('is undone if the sandbox was about to be thawed, although its checkpoint is sealed: it may have run since', async () => {
    await seal('s1');
    const sandbox = await left(
      { state: 'pausing', work: work({ stateId: 's1', promised: true, mayRun: true }) },
      'running',
    );
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'running', cause: 'interrupted' });
    expect(bench.driver.calls.filter((call) => call.startsWith('suspend'))).toEqual([]);
  });

  it('keeps only the files if the sandbox was about to be thawed and cannot be', async () => {
    await seal('s1');
    const thawing = work({ stateId: 's1', promised: true, mayRun: true });
    const sandbox = await left({ state: 'pausing', work: thawing }, 'running');
    bench.driver.failNext('thaw', new Error('runsc was killed'));
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { hasMemory: false } });
  });

  it('keeps only the files if the sandbox was about to be thawed and its processes are gone', async () => {
    await seal('s1');
    const thawing = work({ stateId: 's1', promised: true, mayRun: true });
    const sandbox = await left({ state: 'pausing', disk: 'kept', work: thawing }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { hasMemory: false } });
  });

  it('is undone if nothing was sealed, and the sandbox runs', async () => {
    const sandbox = await left({ state: 'pausing', work: work({ stateId: 's1' }) }, 'running');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'running', cause: 'interrupted' });
    expect(bench.driver.calls).toContain(`thaw ${sandbox.record.sandboxId}`);
  });

  it('is completed if it was promised, although nothing was sealed', async () => {
    const sandbox = await left({ state: 'pausing', work: work({ stateId: 's1', promised: true }) }, 'running');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { stateId: 's1' } });
  });

  // Its deadline may have passed. If it ran, it could be killed, although its tenant was told that it is paused.
  it('keeps the sandbox frozen if it was promised and there is no room to save it, until there is room', async () => {
    const pausing = { state: 'pausing', work: work({ stateId: 's1', promised: true }) } as const;
    const sandbox = await left(pausing, 'running');
    bench.noRoomFor = 'Saving the sandbox';
    await expect(recoverStep(bench.context, sandbox)).rejects.toMatchObject({ reason: 'disk_full' });
    const { sandboxId } = sandbox.record;
    expect([(await onDisk(sandbox))?.state, bench.driver.stateOf(sandboxId)]).toEqual(['pausing', 'frozen']);
    await retrySteps(bench.context, neverEnd);
    expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
    bench.noRoomFor = '';
    await retrySteps(bench.context, neverEnd);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { stateId: 's1', hasMemory: true } });
    expect(bench.roomFor).toEqual([]);
  });

  it('without processes and without a checkpoint loses the sandbox', async () => {
    const sandbox = await left({ state: 'pausing', work: work({ stateId: 's1' }) }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(false);
  });
});

describe('an interrupted resume', () => {
  const record = (): Partial<HostRecord> => ({
    ...{ state: 'resuming', saved: savedAs('s1'), work: work({ from: 'paused', promised: true }) },
  });

  it('is completed if the restored envd confirms', async () => {
    await seal('s1');
    const sandbox = await left(record(), 'running');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    const after = await onDisk(sandbox);
    expect(after).toMatchObject({ state: 'running', cause: 'interrupted' });
    expect(after?.saved).toBeUndefined();
    const { hostToken, sandboxId, generation } = sandbox.record;
    expect(await bench.envd.requests()).toMatchObject([
      { path: '/resumed', hostToken, body: { sandboxId, generation, isCopy: false } },
    ]);
  });

  it.each([500, 404, 0])(
    'saves the sandbox again if its envd does not confirm (%i): it has run, so the old memory does not match its disk',
    async (status) => {
      await seal('s1');
      await bench.envd.answer('/resumed', status);
      const sandbox = await left({ ...record(), disk: 'kept' }, 'running');
      expect(await recoverStep(bench.context, sandbox)).toBe(true);
      const after = await onDisk(sandbox);
      expect(after).toMatchObject({ state: 'paused', cause: 'resume_failed', saved: { hasMemory: true }, slot: 0 });
      expect(after?.saved?.stateId).not.toBe('s1');
      expect(await bench.context.host.checkpoints.find(after?.saved?.stateId ?? '')).toBeDefined();
      expect(bench.driver.stateOf(sandbox.record.sandboxId)).toBe('none');
    },
  );

  it('keeps the sandbox frozen if its envd does not confirm and there is no room to save it: its memory exists only there', async () => {
    await seal('s1');
    await bench.envd.answer('/resumed', 500);
    const sandbox = await left({ ...record(), disk: 'kept' }, 'running');
    const { sandboxId, generation } = sandbox.record;
    bench.driver.noteRun(sandboxId, generation);
    bench.noRoomFor = 'Saving the sandbox';
    await expect(recoverStep(bench.context, sandbox)).rejects.toMatchObject({ reason: 'disk_full' });
    expect([(await onDisk(sandbox))?.state, bench.driver.stateOf(sandboxId)]).toEqual(['resuming', 'frozen']);
    bench.noRoomFor = '';
    await retrySteps(bench.context, neverEnd);
    const after = await onDisk(sandbox);
    expect(after).toMatchObject({ state: 'paused', cause: 'resume_failed', saved: { hasMemory: true } });
    expect(after?.saved?.stateId).not.toBe('s1');
  });

  it('keeps only the files if the sandbox ran, its envd does not confirm, and it cannot be saved', async () => {
    await seal('s1');
    await bench.envd.answer('/resumed', 500);
    const sandbox = await left({ ...record(), disk: 'kept' }, 'running');
    bench.driver.noteRun(sandbox.record.sandboxId, sandbox.record.generation);
    bench.driver.failNext('checkpoint', new Error('no'));
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { hasMemory: false }, slot: 0 });
    expect(bench.driver.stateOf(sandbox.record.sandboxId)).toBe('none');
  });

  it('whose new checkpoint is sealed pauses the sandbox with it, whatever runs', async () => {
    await seal('s1');
    await seal('s2');
    const cut = work({ from: 'paused', promised: true, stateId: 's2' });
    const sandbox = await left({ ...record(), disk: 'kept', work: cut }, 'running');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', saved: { stateId: 's2', hasMemory: true } });
  });

  describe('without processes', () => {
    const found = async (more: Partial<HostRecord>, hasRun: boolean): Promise<HostRecord | undefined> => {
      await seal('s1');
      const sandbox = await left({ ...record(), disk: 'kept', ...more }, 'none');
      const { sandboxId, generation } = sandbox.record;
      bench.driver.noteRun(sandboxId, hasRun ? generation : 'that of an earlier restore');
      expect(await recoverStep(bench.context, sandbox)).toBe(true);
      expect(await bench.context.host.checkpoints.find('s1')).toBeDefined();
      return await onDisk(sandbox);
    };

    it('pauses the sandbox as before if nothing of it has run', async () => {
      expect(await found({}, false)).toMatchObject({ state: 'paused', saved: { stateId: 's1', hasMemory: true } });
    });

    it('keeps only the files if something has run', async () => {
      expect(await found({}, true)).toMatchObject({ saved: { hasMemory: false }, cause: 'resume_failed' });
    });

    it('pauses the sandbox as before if the disk was made for the resume', async () => {
      expect(await found({ disk: 'new' }, true)).toMatchObject({ saved: { stateId: 's1', hasMemory: true } });
    });

    it('keeps only the files if it was a fresh start', async () => {
      const afresh = work({ from: 'paused', keepMemory: false });
      expect(await found({ work: afresh }, false)).toMatchObject({ saved: { hasMemory: false } });
    });

    it('keeps only the files if the host has booted since', async () => {
      const before = work({ from: 'paused', bootId: otherBoot });
      expect(await found({ work: before }, false)).toMatchObject({ saved: { hasMemory: false } });
    });
  });

  it('that was a fresh start is confirmed by the settings', async () => {
    const afresh = { ...record(), work: work({ from: 'paused', keepMemory: false }) };
    const sandbox = await left(afresh, 'running');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect((await bench.envd.requests()).map(({ path }) => path)).toEqual(['/health', '/init']);
    expect((await onDisk(sandbox))?.state).toBe('running');
  });
});

describe('layers that were made just before the server died', () => {
  it('get their digests when their sandbox is taken over, so that it can be paused later', async () => {
    const { checkpoints } = bench.context.host;
    await writeFile(checkpoints.layerPath('l1'), 'a disk that froze');
    const sandbox = await left({ state: 'running', layers: ['l1'] }, 'running');
    expect(await checkpoints.isSealedLayer('l1')).toBe(false);
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await checkpoints.isSealedLayer('l1')).toBe(true);
    await bench.reopenCheckpoints();
    await bench.context.host.checkpoints.verifyLayer('l1');
  });

  it('that a disk became in the interrupted step are named and sealed', async () => {
    const { checkpoints } = bench.context.host;
    await writeFile(checkpoints.layerPath('l9'), 'a disk that froze');
    const step = work({ layerId: 'l9', from: 'paused' });
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', saved: savedAs('s1'), work: step }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', layers: ['l9'], disk: 'new' });
    expect(await checkpoints.isSealedLayer('l9')).toBe(true);
  });

  it('that were never made are not named', async () => {
    const step = work({ layerId: 'l9', from: 'paused' });
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', saved: savedAs('s1'), work: step }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(await onDisk(sandbox)).toMatchObject({ state: 'paused', layers: [], disk: 'kept' });
  });
});

describe('an interrupted snapshot', () => {
  it('thaws its source', async () => {
    const sandbox = await left({ state: 'snapshotting', work: work({ stateId: 's1' }) }, 'running');
    await bench.driver.freeze(sandbox.live?.instance as never);
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(bench.driver.stateOf(sandbox.record.sandboxId)).toBe('running');
    expect((await onDisk(sandbox))?.state).toBe('running');
  });

  it('restores a source without processes from its sealed checkpoint', async () => {
    await seal('s1');
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', work: work({ stateId: 's1' }) }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect((await onDisk(sandbox))?.state).toBe('running');
  });

  // The server may have died while it ended the processes one by one: with a thaw, the rest would run without the others.
  it('restores a source that was saved and whose processes were about to end, although they are still there', async () => {
    await seal('s1');
    const saving = {
      state: 'snapshotting',
      disk: 'kept',
      saved: savedAs('s1'),
      work: work({ stateId: 's1' }),
    } as const;
    const sandbox = await left(saving, 'running');
    await bench.driver.freeze(sandbox.live?.instance as never);
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    const { sandboxId } = sandbox.record;
    expect(bench.driver.calls).not.toContain(`thaw ${sandboxId}`);
    expect(bench.driver.calls).toContain(`suspend ${sandboxId}`);
    expect(bench.driver.calls.some((call) => call.startsWith(`restore ${sandboxId}`))).toBe(true);
    expect((await onDisk(sandbox))?.state).toBe('running');
  });

  it('restores the memory of a source that was killed while it was frozen, because it has not run since', async () => {
    await seal('s1');
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', work: work({ stateId: 's1' }) }, 'running');
    bench.driver.failNext('thaw', new SoulBoxError('sandbox_resume_failed', 'killed while it was frozen'));
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(bench.driver.calls.some((call) => call.startsWith(`restore ${sandbox.record.sandboxId}`))).toBe(true);
    expect((await onDisk(sandbox))?.state).toBe('running');
  });

  it('drops the memory of a source that may have run since it was saved', async () => {
    await seal('s1');
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', work: work({ stateId: 's1' }) }, 'running');
    bench.driver.failNext('thaw', new Error('the thaw was interrupted'));
    expect(await recoverStep(bench.context, sandbox)).toBe(true);
    expect(bench.driver.calls.some((call) => call.startsWith(`restore ${sandbox.record.sandboxId}`))).toBe(false);
  });

  it('does not restore the source if the host has booted since', async () => {
    await seal('s1');
    const lost = work({ stateId: 's1', bootId: otherBoot });
    const sandbox = await left({ state: 'snapshotting', disk: 'kept', work: lost }, 'none');
    expect(await recoverStep(bench.context, sandbox)).toBe(false);
  });
});

it('a running sandbox whose processes are gone is lost', async () => {
  expect(await recoverStep(bench.context, await left({ state: 'running' }, 'none'))).toBe(false);
});

it('a paused sandbox gets the missing digests of its disk', async () => {
  const sandbox = await left({ state: 'paused', disk: 'kept', saved: savedAs('s1'), slot: 0 }, 'none');
  expect(await recoverStep(bench.context, sandbox)).toBe(true);
  expect((await onDisk(sandbox))?.saved?.disk).toBeDefined();
  const directory = bench.context.host.store.directoryOf(sandbox.record.sandboxId);
  expect(existsSync(bench.driver.diskPath(sandbox.record.sandboxId, directory))).toBe(true);
});
