// What is left of each sandbox when the host itself went down: no process lives, and the boot is another one.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '@soulbox/base';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readCpuType } from '../host/cpu-type.ts';
import type { Pool } from '../pool/pool.ts';
import type { SandboxRecord, Work } from '../registry/record.ts';
import { recoverSandboxes } from './recover.ts';
import { resumeForTraffic } from '../operations/resume/resume-for-traffic.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

let bench: OperationBench;
let put: string[];
const pool = { put: (_blueprint: unknown, spare: { record: SandboxRecord }) => put.push(spare.record.sandboxId) };
beforeEach(async () => {
  bench = await createOperationBench();
  put = [];
});
afterEach(() => bench[Symbol.asyncDispose]());

const work: Work = {
  ...{
    from: 'running',
    bootId: 'the boot before',
    stateId: 's1',
    layerId: '',
    keepMemory: true,
    promised: true,
    mayRun: false,
  },
};

async function seal(checkpointId: string): Promise<void> {
  await using draft = await bench.context.host.checkpoints.begin(checkpointId);
  await writeFile(`${draft.directory}/pages-1.img`, 'memory');
  await draft.seal({
    ...{ createdAtMs: 0, driver: 'container', driverVersion: '', hasMemory: true, cpuType: await readCpuType() },
    ...{ templateId: 'base', runtimeName: '', cpuCount: 1, memoryMb: 1, diskMb: 1, layers: [], tenant: null },
  });
}

/** A record and a disk, as the host's own disk has them; the server that is to come knows nothing of them. */
async function left(record: Partial<SandboxRecord>): Promise<string> {
  const { record: whole } = await bench.addLeft({ disk: 'kept', ...record }, 'none');
  const { host, table } = bench.context;
  const directory = host.store.directoryOf(whole.sandboxId);
  await mkdir(directory, { recursive: true });
  await writeFile(bench.driver.diskPath(whole.sandboxId, directory), 'disk');
  table.delete(whole.sandboxId);
  host.slots.release(whole.slot);
  return whole.sandboxId;
}

async function recover(): Promise<Record<string, string>> {
  await recoverSandboxes(bench.context, pool as unknown as Pool);
  const { records } = await bench.context.host.store.load();
  return Object.fromEntries(records.map(({ sandboxId, state }) => [sandboxId, state]));
}

it('one that was paused is paused, and wakes with its memory', async () => {
  await seal('s1');
  const saved = { stateId: 's1', hasMemory: true, sizeBytes: 6 };
  const sandboxId = await left({ state: 'paused', slot: 0, saved });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  await resumeForTraffic(bench.context, sandboxId);
  expect(bench.driver.calls).toContain(`restore ${sandboxId}`);
  expect(bench.context.table.getRunning(sandboxId).record.state).toBe('running');
});

it.each(['running', 'snapshotting', 'claiming', 'restoring', 'booting', 'warm', 'building', 'ending'] as const)(
  'one that was %s is gone with all that was its own, and nobody is given it',
  async (state) => {
    const sandboxId = await left({ state, ...(state === 'snapshotting' ? { work: { ...work, stateId: '' } } : {}) });
    expect(await recover()).toEqual({});
    expect([put, bench.context.table.all(), bench.driver.calls.at(-1)]).toEqual([[], [], `destroy ${sandboxId}`]);
  },
);

it('one whose pause was sealed, though not completed, keeps its files only: they may lack what its memory takes for written', async () => {
  await seal('s1');
  const sandboxId = await left({ state: 'pausing', work });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  expect((await bench.readRecord(sandboxId))?.saved?.hasMemory).toBe(false);
  await resumeForTraffic(bench.context, sandboxId);
  expect(bench.driver.calls).toContain(`start ${sandboxId}`);
  expect(bench.driver.calls).not.toContain(`restore ${sandboxId}`);
});

it('one that was being resumed is paused as it was, with all that was saved', async () => {
  await seal('s1');
  const saved = { stateId: 's1', hasMemory: true, sizeBytes: 6 };
  const sandboxId = await left({ state: 'resuming', saved, work: { ...work, stateId: '', from: 'paused' } });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  expect(await bench.context.host.checkpoints.find('s1')).toBeDefined();
});

it.each(['ending', 'booting', 'paused'] as const)(
  'one that names the slot of another (%s) is not removed for that, and its disk stays',
  async (state) => {
    await seal('s1');
    const resuming = { state: 'resuming', saved: { stateId: 's1', hasMemory: true, sizeBytes: 6 }, work } as const;
    // By name the first is looked at first.
    await left({ sandboxId: 'a1', state, slot: 7, ...(state === 'paused' ? { saved: resuming.saved } : {}) });
    const sandboxId = await left({ sandboxId: 'b1', slot: 7, ...resuming, work: { ...work, stateId: '' } });
    expect((await recover())[sandboxId]).toBe('paused');
    const directory = bench.context.host.store.directoryOf(sandboxId);
    expect(existsSync(bench.driver.diskPath(sandboxId, directory))).toBe(true);
  },
);

it('what no record names is removed, and what a record names is not', async () => {
  await Promise.all([seal('s1'), seal('s2')]);
  await left({ state: 'paused', slot: 0, saved: { stateId: 's1', hasMemory: true, sizeBytes: 6 } });
  await mkdir(bench.context.host.store.directoryOf('istray'));
  await recover();
  expect(await bench.context.host.checkpoints.list()).toEqual(['s1']);
  expect(bench.driver.calls).toContain('destroy istray');
});

it('what a record that cannot be read belongs to is kept aside, and no state is removed until somebody has looked', async () => {
  await seal('s1');
  const torn = await left({ state: 'paused', slot: 0, saved: { stateId: 's1', hasMemory: true, sizeBytes: 6 } });
  const { host } = bench.context;
  const directory = host.store.directoryOf(torn);
  const record = await readFile(`${directory}.json`);
  await writeFile(`${directory}.json`, record.subarray(0, 100));
  expect(await recover()).toEqual({});
  const aside = join(directory, '../../sandboxes-unreadable');
  expect((await readdir(aside)).toSorted()).toEqual([torn, `${torn}.json`]);
  expect(await readFile(bench.driver.diskPath(torn, join(aside, torn)), 'utf8')).toBe('disk');
  expect(bench.driver.calls).toContain(`suspend ${torn}`);
  expect(bench.driver.calls).not.toContain(`destroy ${torn}`);
  await bench.context.references.drop('s1');
  expect(await host.checkpoints.list()).toEqual(['s1']);

  // It was mended, and put back.
  await writeFile(`${directory}.json`, record);
  await rename(join(aside, torn), directory);
  await rm(join(aside, `${torn}.json`));
  expect(await recover()).toEqual({ [torn]: 'paused' });
  expect(await host.checkpoints.list()).toEqual(['s1']);
});

// A gVisor restore that was cut off is waited for, up to 30 s.
it('what may run of many is looked for at the same time, but not of all of them', async () => {
  for (let slot = 1; slot <= 70; slot++) await left({ state: 'warm' });
  let underWay = 0;
  let most = 0;
  vi.spyOn(bench.driver, 'adopt').mockImplementation(async () => {
    most = Math.max(most, ++underWay);
    await sleep(20);
    underWay--;
    return undefined;
  });
  expect(await recover()).toEqual({});
  expect(most).toBe(64);
}, 60_000);
