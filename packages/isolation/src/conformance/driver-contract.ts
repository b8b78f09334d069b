import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Driver, EnvdRuntime, SandboxInstance } from '../driver.ts';
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
import type { TestBench } from './test-sandbox.ts';
import { openTestBench } from './test-sandbox.ts';
import { describeWalls } from './walls.ts';

/** What a driver's test file says to run the suite. */
export interface DriverContract {
  readonly name: string;
  /** Called more than once: each result stands for a server that knows nothing of the ones before. */
  readonly createDriver: () => Driver;
  readonly instanceNumber: number;
  /** A program that starts the sandbox of the SandboxSpec in its argument (JSON), and writes a line before it begins. */
  readonly startProgram: string;
  /** Where the host sees the root of a sandbox that runs. */
  readonly rootOf: (instance: SandboxInstance) => string;
  /** Runs only what saves and restores, with memory that comes late. Default false. */
  readonly lateMemory?: boolean;
}

/** What the parts of the suite share; filled in before the first test runs. */
export interface Stage {
  readonly contract: DriverContract;
  bench: TestBench;
  runtime: EnvdRuntime;
}

/** The two runs of a driver's contract may go on side by side. */
const lateFirstNumber = 300;

/** The tests that every driver has to pass, with real sandboxes of the real host. Needs root. */
export function describeDriver(contract: DriverContract): void {
  describe(`the driver ${contract.name}`, () => {
    const stack = new AsyncDisposableStack();
    const stage = { contract } as Stage;
    beforeAll(async () => {
      const rootfs = await findOrMakeTestRoot();
      stage.runtime = stack.use(await buildStandIn());
      const driver = contract.createDriver();
      const { instanceNumber, lateMemory = false } = contract;
      const firstNumber = lateMemory ? lateFirstNumber : 0;
      const options = { driver, instanceNumber, rootfs, runtime: stage.runtime, lateMemory, firstNumber };
      stage.bench = stack.use(await openTestBench(options));
    }, 900_000);
    afterAll(async () => {
      await stack.disposeAsync();
    });

    if (contract.lateMemory !== true) describeRunning(stage);
    describeSaving(contract, stage);
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

function describeSaving(contract: DriverContract, stage: Stage): void {
  if (!contract.createDriver().capabilities.checkpoint) {
    test.skip('saving and restoring: this driver does not, as it was made here');
    return;
  }
  describeCheckpoint(stage);
  describeCheckpointFailures(stage);
  describeCopies(stage);
  describeKeptDisks(stage);
}
