import { afterAll, beforeAll, describe, test } from 'vitest';
import { buildStandIn, findOrMakeTestRoot } from './build-stand-in.ts';
import { describeCheckpointFailures } from './checkpoint-failures.ts';
import { describeCheckpoint } from './checkpoint.ts';
import { describeCopies } from './copies.ts';
import { describeDiskGrowth } from './disk-growth.ts';
import { describeFailures } from './failures.ts';
import { describeKeptDisks } from './kept-disks.ts';
import { describeLifecycle } from './lifecycle.ts';
import { describeLimits } from './limits.ts';
import { describePrivileges } from './privileges.ts';
import type { DriverUnderTest, Stage } from './stage.ts';
import { openTestBench } from './test-sandbox.ts';
import { describeWalls } from './walls.ts';

/** The two runs of the suite for one driver may run in parallel. */
const lateFirstNumber = 300;

/** The tests that every driver must pass, with real sandboxes on the real host. Needs root. */
export function describeDriver(tested: DriverUnderTest): void {
  describe(`the driver ${tested.name}`, () => {
    const stack = new AsyncDisposableStack();
    const stage = { tested } as Stage;
    beforeAll(async () => {
      const rootfs = await findOrMakeTestRoot();
      stage.envdBundle = stack.use(await buildStandIn());
      const driver = tested.createDriver();
      const { instanceNumber, lateMemory = false } = tested;
      const firstNumber = lateMemory ? lateFirstNumber : 0;
      const options = { driver, instanceNumber, rootfs, envdBundle: stage.envdBundle, lateMemory, firstNumber };
      stage.bench = stack.use(await openTestBench(options));
    }, 900_000);
    afterAll(async () => {
      await stack.disposeAsync();
    });

    if (tested.lateMemory !== true) describeRunning(stage);
    describeSaving(tested, stage);
  });
}

function describeRunning(stage: Stage): void {
  describeWalls(stage);
  describePrivileges(stage);
  describeLimits(stage);
  describeDiskGrowth(stage);
  describeLifecycle(stage);
  describeFailures(stage);
}

function describeSaving(tested: DriverUnderTest, stage: Stage): void {
  if (!tested.createDriver().capabilities.checkpoint) {
    test.skip('save and restore: this driver declares no checkpoints (the container driver without CRIU)');
    return;
  }
  describeCheckpoint(stage);
  describeCheckpointFailures(stage);
  describeCopies(stage);
  describeKeptDisks(stage);
}
