import { readdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { createBackgroundDigest } from './background-digest.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** A paused sandbox of whose disk only the time stamps are known. Gives the folder of the disk. */
async function addPaused(sandboxId: string): Promise<string> {
  const { host, table } = bench.context;
  const sandbox = await bench.addLeft({ state: 'running', sandboxId }, 'running');
  const path = bench.driver.diskPath(sandboxId, host.store.directoryOf(sandboxId));
  await writeFile(path, Buffer.alloc(3_000_000, sandboxId));
  const disk = await host.checkpoints.digestDisk(path, 0);
  await table.update(sandbox, { saved: { stateId: 'none', hasMemory: false, sizeBytes: 0, disk }, disk: 'kept' });
  sandbox.record = { ...sandbox.record, state: 'paused' };
  return dirname(path);
}

test('a server that stops digests every large disk of a paused sandbox', async () => {
  const folders = [await addPaused('i1'), await addPaused('i2')];
  await createBackgroundDigest(bench.context).finish();
  for (const folder of folders) expect(await readdir(folder)).toContainEqual(expect.stringMatching(/\.digests$/));
});
