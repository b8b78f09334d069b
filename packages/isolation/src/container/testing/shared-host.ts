// Starts, saves and restores a sandbox, and prints its mounts before and after. For a test that runs it where all mounts
// are shared.
import { silentLogger } from '@soulbox/base/logger';
import { prepareCgroups } from '../../cgroup/prepare.ts';
import { buildStandIn, findOrMakeTestRoot } from '../../conformance/build-stand-in.ts';
import { pause } from '../../conformance/saved-sandboxes.ts';
import type { TestSandbox } from '../../conformance/test-sandbox.ts';
import { openTestBench } from '../../conformance/test-sandbox.ts';
import { createContainerDriver } from '../driver.ts';
import { criu } from './test-criu.ts';
import { testInstance } from './test-instance.ts';

const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
await prepareCgroups();
await using envdBundle = await buildStandIn();
const rootfs = await findOrMakeTestRoot();
await using bench = await openTestBench({ driver, instanceNumber: testInstance, firstNumber: 900, rootfs, envdBundle });
const print = async (sandbox: TestSandbox): Promise<void> => {
  process.stdout.write((await sandbox.sh('cat /proc/self/mountinfo')).stdout);
};
const sandbox = await bench.start();
await print(sandbox);
const restored = await pause(bench, sandbox, 0);
await print(restored);
