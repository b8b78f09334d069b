import { afterAll } from 'vitest';
import { prepareCgroups } from '../cgroup/prepare.ts';
import { buildStandIn, findOrMakeTestRoot } from './build-stand-in.ts';
import type { BenchOptions, TestBench } from './test-sandbox.ts';
import { openTestBench } from './test-sandbox.ts';

/** A bench with the stand-in for envd on the usual root, for a test file of one driver; disposed when the file ends. */
export async function openPreparedBench(options: Omit<BenchOptions, 'rootfs' | 'envdBundle'>): Promise<TestBench> {
  const stack = new AsyncDisposableStack();
  afterAll(async () => {
    await stack.disposeAsync();
  });
  await prepareCgroups();
  const envdBundle = stack.use(await buildStandIn());
  const rootfs = await findOrMakeTestRoot();
  return stack.use(await openTestBench({ ...options, rootfs, envdBundle }));
}
