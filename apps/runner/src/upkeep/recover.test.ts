// Recovery after a crash of the host: no process is left, and the boot id is different.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readCpuType } from '../host/cpu-type.ts';
import type { Pool } from '../pool/pool.ts';
import type { HostRecord, Work } from '../registry/record.ts';
import { recoverSandboxes } from './recover.ts';
import { resumeForTraffic } from '../operations/resume/resume-for-traffic.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

let bench: OperationBench;
let put: string[];
const pool = { put: (_blueprint: unknown, spare: { record: HostRecord }) => put.push(spare.record.sandboxId) };
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

/** Writes a record and a disk to the host's disk. The next server does not know them yet. */
async function left(record: Partial<HostRecord>): Promise<string> {
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

it('a paused sandbox stays paused, and can be resumed with its memory', async () => {
  await seal('s1');
  const saved = { stateId: 's1', hasMemory: true, sizeBytes: 6 };
  const sandboxId = await left({ state: 'paused', slot: 0, saved });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  await resumeForTraffic(bench.context, sandboxId);
  expect(bench.driver.calls).toContain(`restore ${sandboxId}`);
  expect(bench.context.table.getRunning(sandboxId).record.state).toBe('running');
});

it.each(['running', 'snapshotting', 'claiming', 'restoring', 'booting', 'warm', 'building', 'ending'] as const)(
  'a sandbox that was %s is removed completely, and is not handed out',
  async (state) => {
    const sandboxId = await left({ state, ...(state === 'snapshotting' ? { work: { ...work, stateId: '' } } : {}) });
    expect(await recover()).toEqual({});
    expect([put, bench.context.table.all(), bench.driver.calls.at(-1)]).toEqual([[], [], `destroy ${sandboxId}`]);
  },
);

it('a sandbox whose pause was sealed but not completed keeps only its files, which may lack writes that its memory relies on', async () => {
  await seal('s1');
  const sandboxId = await left({ state: 'pausing', work });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  expect((await bench.readRecord(sandboxId))?.saved?.hasMemory).toBe(false);
  await resumeForTraffic(bench.context, sandboxId);
  expect(bench.driver.calls).toContain(`start ${sandboxId}`);
  expect(bench.driver.calls).not.toContain(`restore ${sandboxId}`);
});

it('a sandbox that was being resumed is paused as before, with its checkpoint', async () => {
  await seal('s1');
  const saved = { stateId: 's1', hasMemory: true, sizeBytes: 6 };
  const sandboxId = await left({ state: 'resuming', saved, work: { ...work, stateId: '', from: 'paused' } });
  expect(await recover()).toEqual({ [sandboxId]: 'paused' });
  expect(await bench.context.host.checkpoints.find('s1')).toBeDefined();
});

it.each(['ending', 'booting', 'paused'] as const)(
  'a sandbox that names the slot of another one (%s) is not removed for that reason, and keeps its disk',
  async (state) => {
    await seal('s1');
    const resuming = { state: 'resuming', saved: { stateId: 's1', hasMemory: true, sizeBytes: 6 }, work } as const;
    // Records are read in the order of their names.
    await left({ sandboxId: 'a1', state, slot: 7, ...(state === 'paused' ? { saved: resuming.saved } : {}) });
    const sandboxId = await left({ sandboxId: 'b1', slot: 7, ...resuming, work: { ...work, stateId: '' } });
    expect((await recover())[sandboxId]).toBe('paused');
    const directory = bench.context.host.store.directoryOf(sandboxId);
    expect(existsSync(bench.driver.diskPath(sandboxId, directory))).toBe(true);
  },
);

it('unreferenced files are removed, and referenced ones are kept', async () => {
  await Promise.all([seal('s1'), seal('s2')]);
  await left({ state: 'paused', slot: 0, saved: { stateId: 's1', hasMemory: true, sizeBytes: 6 } });
  await mkdir(bench.context.host.store.directoryOf('istray'));
  await recover();
  expect(await bench.context.host.checkpoints.list()).toEqual(['s1']);
  expect(bench.driver.calls).toContain('destroy istray');
});

it('the files of an unreadable record are set aside, and no checkpoint is removed until an administrator has taken the record away', async () => {
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

  // An administrator has repaired the record and put it back.
  await writeFile(`${directory}.json`, record);
  await rename(join(aside, torn), directory);
  await rm(join(aside, `${torn}.json`));
  expect(await recover()).toEqual({ [torn]: 'paused' });
  expect(await host.checkpoints.list()).toEqual(['s1']);
});

// Recovery waits up to 30 s for an interrupted gVisor restore.
it('several sandboxes are adopted at the same time, but not all of them', async () => {
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
