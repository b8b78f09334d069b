import { statSync } from 'node:fs';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deleteSnapshot, makeSnapshot } from './copies/snapshot.ts';
import { pauseSandbox } from './pause/pause.ts';
import { resumeSandbox } from './resume/resume.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { createTeamUsage } from './team-usage.ts';
import type { TeamUsage } from './team-usage.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

const mib = 2 ** 20;
const pause = { keepMemory: true, durability: 'on-return', cause: 'request' } as const;
let bench: OperationBench;
let read: (teamId: string) => TeamUsage;
beforeEach(async () => {
  bench = await createOperationBench();
  read = createTeamUsage(bench.context);
});
afterEach(() => bench[Symbol.asyncDispose]());

const diskMb = (teamId: string): number => Math.round(read(teamId).diskBytes / mib);
const diskPath = ({ record }: TenantSandbox): string =>
  bench.driver.diskPath(record.sandboxId, bench.context.host.store.directoryOf(record.sandboxId));

async function write(path: string, sizeMb: number): Promise<void> {
  await writeFile(path, Buffer.alloc(sizeMb * mib, 1));
  // stat(2) counts blocks only after they are on the disk.
  expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(sizeMb * mib);
}

/** A layer under the disk of the sandbox. */
async function addLayer(layerId: string, sizeMb: number): Promise<string> {
  const { checkpoints } = bench.context.host;
  await write(checkpoints.layerPath(layerId), sizeMb);
  await checkpoints.sealLayer(layerId);
  return layerId;
}

it('a layer counts once while anything of the team uses it, also after its snapshot was deleted', async () => {
  const sandbox = await bench.addRunning({ teamId: 'ours' });
  const { sandboxId } = sandbox.record;
  await write(diskPath(sandbox), 8);
  expect(diskMb('ours')).toBe(8);
  await pauseSandbox(bench.context, sandboxId, pause);
  await makeSnapshot(bench.context, sandboxId, 's1');
  expect(sandbox.record.layers).toHaveLength(1);
  await makeSnapshot(bench.context, sandboxId, 's2');
  expect(diskMb('ours')).toBe(8);
  await deleteSnapshot(bench.context, 's1');
  await deleteSnapshot(bench.context, 's2');
  expect([diskMb('ours'), diskMb('theirs')]).toEqual([8, 0]);
});

it('memory of snapshots counts once, and memory of paused sandboxes is counted separately', async () => {
  const sandbox = await bench.addRunning({ teamId: 'ours' });
  await pauseSandbox(bench.context, sandbox.record.sandboxId, pause);
  const { pausedMemoryBytes } = read('ours');
  expect(pausedMemoryBytes).toBe(sandbox.record.saved?.sizeBytes);
  const without = read('ours').diskBytes;
  await makeSnapshot(bench.context, sandbox.record.sandboxId, 's1');
  await makeSnapshot(bench.context, sandbox.record.sandboxId, 's2');
  expect(read('ours').diskBytes).toBe(without + pausedMemoryBytes);
});

it('layers of finished builds are not counted until the build is deleted', async () => {
  const layers = [await addLayer('own', 2), await addLayer('built', 4)];
  const { record } = await bench.addRunning({ teamId: 'ours' }, { layers });
  const build = { stateId: 's9', hasMemory: false, layers: ['built'], driver: 'container', templateId: 'base' };
  await bench.context.snapshots.write({
    ...{ ...build, runtimeName: '', cpuCount: 1, memoryMb: 1, diskMb: 1, volumes: [], tenant: record.tenant },
    ...{ formatVersion: 2, snapshotId: 'b1', sandboxId: 'x', createdAtMs: 0, sizeBytes: 4 * mib, variables: {} },
  });
  expect(diskMb('ours')).toBe(2);
  await bench.context.snapshots.remove('b1');
  expect(diskMb('ours')).toBe(6);
});

it('sizes that do not change are read once, and are read again for a sandbox that has run since', async () => {
  const sandbox = await bench.addRunning({ teamId: 'ours' }, { layers: [await addLayer('l1', 4)] });
  const { sandboxId } = sandbox.record;
  await write(diskPath(sandbox), 2);
  await pauseSandbox(bench.context, sandboxId, pause);
  expect(diskMb('ours')).toBe(6);
  await truncate(diskPath(sandbox), 0);
  await truncate(bench.context.host.checkpoints.layerPath('l1'), 0);
  expect(diskMb('ours')).toBe(6);
  await write(diskPath(sandbox), 2);
  await resumeSandbox(bench.context, sandboxId, { timeoutSeconds: 60, withMemory: true, cause: 'request' });
  await write(diskPath(sandbox), 3);
  expect(diskMb('ours')).toBe(7);
  await pauseSandbox(bench.context, sandboxId, pause);
  expect(diskMb('ours')).toBe(7);
});

it('a missing disk or layer counts as zero', async () => {
  const sandbox = await bench.addRunning({ teamId: 'ours' }, { layers: ['gone'] });
  await rm(diskPath(sandbox));
  await mkdir(diskPath(sandbox));
  expect(read('ours').diskBytes).toBeLessThan(mib);
});
