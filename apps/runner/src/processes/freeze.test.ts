import { afterEach, beforeEach, expect, it } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { freeze } from './freeze.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

it('connections to the outside are reset after nothing inside can open another one', async () => {
  const sandbox = await bench.addRunning();
  const { sandboxId } = sandbox.record;
  const { network, driver } = bench;
  const states: string[] = [];
  const closeOutside = network.closeOutside.bind(network);
  network.closeOutside = (path) => {
    states.push(driver.stateOf(sandboxId));
    return closeOutside(path);
  };
  await freeze(bench.context, sandbox);
  expect(network.closed).toEqual([bench.envd.path]);
  expect(states).toEqual(['frozen']);
});

it('connections of the gateway and the runner are cut before the sandbox freezes', async () => {
  const sandbox = await bench.addRunning();
  const order: string[] = [];
  const { live } = sandbox;
  const close = live.envd.close.bind(live.envd);
  live.envd.close = () => {
    order.push('envd', `${bench.cutOff.length} cut off`, bench.driver.stateOf(sandbox.record.sandboxId));
    close();
  };
  await freeze(bench.context, sandbox);
  expect(order).toEqual(['envd', '1 cut off', 'running']);
  expect(bench.cutOff).toEqual([sandbox.record.sandboxId]);
});

it('a sandbox that does not freeze is an error, and its connections to the outside are not reset', async () => {
  const sandbox = await bench.addRunning();
  bench.driver.failNext('freeze', new Error('does not stop'));
  await expect(freeze(bench.context, sandbox)).rejects.toThrow('does not stop');
  expect(bench.network.closed).toEqual([]);
});

it('a sandbox whose server has connections to accept runs again for a moment, until there are none', async () => {
  const sandbox = await bench.addRunning();
  const { network, driver } = bench;
  const answers = [true, true, false];
  network.hasUnaccepted = () => answers.shift() ?? false;
  await freeze(bench.context, sandbox);
  const { sandboxId } = sandbox.record;
  const calls = driver.calls.filter((call) => /^(freeze|thaw) /.test(call));
  expect(calls).toEqual(['freeze', 'thaw', 'freeze', 'thaw', 'freeze'].map((call) => `${call} ${sandboxId}`));
  expect(network.closed).toHaveLength(1);
});

it('connections that no server accepts are reset in the end, while the sandbox is frozen', async () => {
  const sandbox = await bench.addRunning();
  const states: string[] = [];
  bench.network.hasUnaccepted = () => true;
  bench.network.closeUnaccepted = (path) => {
    states.push(path, bench.driver.stateOf(sandbox.record.sandboxId));
    return 1;
  };
  await freeze(bench.context, sandbox);
  expect(states).toEqual([bench.envd.path, 'frozen']);
});
