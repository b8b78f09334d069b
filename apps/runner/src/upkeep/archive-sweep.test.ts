import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readCpuType } from '../host/cpu-type.ts';
import { createArchiveSweep } from './archive-sweep.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

const mib = 2 ** 20;
let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const isPacked = async (checkpointId: string): Promise<boolean> =>
  (await bench.context.host.checkpoints.open(checkpointId)).isPacked;

/** A paused sandbox with this checkpoint. */
async function addAsleep(checkpointId: string): Promise<void> {
  await using draft = await bench.context.host.checkpoints.begin(checkpointId);
  await writeFile(join(draft.directory, 'pages-1.img'), Buffer.alloc(4 * mib, 7));
  const { sizeBytes } = await draft.seal({
    ...{ createdAtMs: 0, driver: 'container', driverVersion: '', hasMemory: true, cpuType: await readCpuType() },
    ...{ templateId: 'base', runtimeName: '', cpuCount: 1, memoryMb: 1, diskMb: 1, layers: [], tenant: null },
  });
  await bench.addLeft({ state: 'paused', saved: { stateId: checkpointId, hasMemory: true, sizeBytes } }, 'none');
}

it('memory is archived if there is room for it, and otherwise later', async () => {
  await addAsleep('s1');
  await addAsleep('s2');
  bench.nowMs += 3_600_000;
  const archiveSweep = createArchiveSweep(bench.context, 1000);
  const stopping = new AbortController().signal;
  const { checkpoints } = bench.context.host;
  const plain = checkpoints.compress.bind(checkpoints);
  const compress = vi.spyOn(checkpoints, 'compress');
  bench.noRoomFor = 'Archiving memory';
  await archiveSweep.sweep(stopping);
  expect([compress.mock.calls, await isPacked('s1')]).toEqual([[], false]);
  bench.noRoomFor = '';
  const during: string[][] = [];
  compress.mockImplementation(async (...given) => {
    during.push([...bench.roomFor]);
    return await plain(...given);
  });
  await archiveSweep.sweep(stopping);
  expect([await isPacked('s1'), await isPacked('s2')]).toEqual([true, true]);
  expect([during, bench.roomFor]).toEqual([[['Archiving memory'], ['Archiving memory']], []]);
});
