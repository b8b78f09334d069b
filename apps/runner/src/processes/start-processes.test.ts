import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { startProcesses } from './start-processes.ts';
import type { CheckedMemory } from './check-memory.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench({ maxProcesses: 77 });
});
afterEach(() => bench[Symbol.asyncDispose]());

const closed = { allowInternetAccess: false, allowOut: ['8.8.8.8'], denyOut: ['1.1.1.1'], maskRequestHost: '' };

/** A saved memory that the driver of the bench accepts. `pagesChecked` decides when its pages are checked. */
async function memoryWith(pagesChecked: Promise<void>): Promise<CheckedMemory> {
  const { checkpoints } = bench.context.host;
  const sandbox = await bench.addRunning();
  await using draft = await checkpoints.begin('s1');
  await bench.driver.freeze(sandbox.live.instance);
  await bench.driver.checkpoint(sandbox.live.instance, draft.directory);
  const checkpoint = await draft.seal({
    ...{ createdAtMs: 0, driver: 'container', driverVersion: '', hasMemory: true, cpuType: '', templateId: 'base' },
    ...{ runtimeName: '', cpuCount: 1, memoryMb: 1, diskMb: 1, layers: [], tenant: null },
  });
  bench.driver.calls.length = 0;
  const memory = await checkpoint.reveal({ isMemory: () => false, isLate: () => false });
  return { ...memory, pagesChecked };
}

describe('the network of processes that are started or restored', () => {
  it.each(['start', 'restore'] as const)("has the tenant's policy, in a %s", async (way) => {
    const memory = way === 'restore' ? await memoryWith(Promise.resolve()) : undefined;
    const { record } = await bench.addLeft({ tenant: { ...(await tenant()), network: closed } }, 'none');
    const live = await startProcesses(bench.context.host, record, '/rootfs', memory);
    live.namespace.close();
    expect(bench.driver.calls).toEqual([`${way} ${record.sandboxId}`]);
    expect(bench.network.policies.get(record.slot)).toMatchObject({ ...closed, sandboxId: record.sandboxId });
  });

  it('is not attached before the pages of the memory are checked', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const memory = await memoryWith(promise);
    const { record } = await bench.addLeft({}, 'none');
    const started = startProcesses(bench.context.host, record, '/rootfs', memory);
    await expect.poll(() => bench.driver.calls).toEqual([`restore ${record.sandboxId}`]);
    expect(bench.network.policies.has(record.slot)).toBe(false);
    resolve(undefined);
    (await started).namespace.close();
    expect(bench.network.policies.has(record.slot)).toBe(true);
  });

  it('is never attached when the check fails, and nothing runs', async () => {
    const damaged = Promise.reject(new SoulBoxError('state_damaged', 'a page was altered'));
    damaged.catch(() => undefined);
    const memory = await memoryWith(damaged);
    const { record } = await bench.addLeft({}, 'none');
    const started = startProcesses(bench.context.host, record, '/rootfs', memory);
    await expect(started).rejects.toMatchObject({ reason: 'state_damaged' });
    expect(bench.network.policies.has(record.slot)).toBe(false);
    expect(bench.driver.stateOf(record.sandboxId)).toBe('none');
  });

  it('is not attached for a spare, which has no tenant yet', async () => {
    const { record } = await bench.addLeft({}, 'none');
    const { tenant: _, ...spare } = record;
    (await startProcesses(bench.context.host, spare, '/rootfs')).namespace.close();
    expect(bench.network.policies.get(record.slot)).toEqual({});
  });
});

it('a driver starts with exactly the settings of the record and the server', async () => {
  const { record } = await bench.addLeft({ layers: ['l2', 'l1'], generation: 'g7' }, 'none');
  const { host } = bench.context;
  const specs: unknown[] = [];
  const start = bench.driver.start.bind(bench.driver);
  bench.driver.start = async (spec) => {
    specs.push(spec);
    return await start(spec);
  };
  (await startProcesses(host, record, '/rootfs')).namespace.close();
  expect(specs).toEqual([
    expect.objectContaining({
      ...{ sandboxId: record.sandboxId, hostname: record.sandboxId, rootfs: '/rootfs', generation: 'g7', disk: 'new' },
      idBase: (host.config.instance + 1) * 2 ** 28 + record.slot * 65_536,
      layers: ['l2', 'l1'].map((id) => host.checkpoints.layerPath(id)),
      limits: { cpus: 1, memoryMb: 128, diskMb: 64, maxProcesses: 77 },
    }),
  ]);
});

async function tenant() {
  return (await bench.addLeft({}, 'none')).record.tenant;
}
