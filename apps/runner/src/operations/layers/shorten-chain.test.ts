import { stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import { shortenChain } from './shorten-chain.ts';

const mib = 2 ** 20;
let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

it('layers are merged if there is room for all their content, and the room is reserved meanwhile', async () => {
  const { checkpoints, disks } = bench.context.host;
  for (const layerId of ['l2', 'l1']) {
    await writeFile(checkpoints.layerPath(layerId), Buffer.alloc(3 * mib, 1));
    await checkpoints.sealLayer(layerId);
  }
  const during: string[][] = [];
  const flatten = vi.spyOn(checkpoints, 'flatten').mockImplementation(async (_layers, layerId) => {
    during.push([...bench.roomFor]);
    await writeFile(checkpoints.layerPath(layerId), '');
  });
  bench.noRoomFor = 'Merging layers';
  await expect(shortenChain(bench.context, ['l2', 'l1'], 2)).rejects.toMatchObject({ reason: 'disk_full' });
  expect(flatten).not.toHaveBeenCalled();
  bench.noRoomFor = '';
  const admit = vi.spyOn(disks, 'admit');
  using chain = await shortenChain(bench.context, ['l2', 'l1'], 2);
  expect((await stat(checkpoints.layerPath(chain.below(['l2', 'l1'])[0] ?? ''))).size).toBe(0);
  expect([during, bench.roomFor]).toEqual([[['Merging layers']], []]);
  const [bytes = 0] = admit.mock.lastCall ?? [];
  expect(bytes).toBeGreaterThan(6 * mib);
  expect(bytes).toBeLessThan(64 * mib);
});
