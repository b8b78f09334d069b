import { silentLogger } from '@soulbox/base/logger';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { forkSandbox } from '../operations/copies/fork.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { setNetworkPolicy } from '../operations/set-network-policy.ts';
import type { TenantNetwork } from '../registry/record.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { createUsageBook } from './egress-usage.ts';
import type { RunnerUsageBook } from './egress-usage.ts';

const limited = (bytes = 1000): TenantNetwork => ({
  ...{ allowOut: [], denyOut: [], maskRequestHost: '' },
  limits: { bytes, connections: 0, connectionsPerSecond: 0, bytesPerSecond: 0 },
});

let bench: OperationBench;
let book: RunnerUsageBook;
let sandboxId: string;
const record = () => bench.context.table.find(sandboxId)?.record;
const used = (): number | undefined => book.read([sandboxId]).get(sandboxId);
/** The interface of the sandbox has counted this much in all. */
const pass = (bytes: number): void => {
  const packets = { receivedPackets: 0, sentPackets: 0 };
  bench.network.traffic.set(record()?.slot ?? 0, { receivedBytes: bytes - 1, sentBytes: 1, ...packets });
};
const count = (bytes: number, generation = record()?.generation ?? ''): void =>
  book.write([{ sandboxId, generation, bytes }]);
/** A book that knows only what is on the disk, as after `kill -9` of the runner. */
const reread = async (): Promise<number | undefined> => {
  const onDisk = await bench.readRecord(sandboxId);
  const other = createUsageBook();
  if (onDisk === undefined) return undefined;
  const table = { find: () => ({ record: onDisk, live: undefined }), note: () => Promise.resolve() };
  other.follow({ table, network: bench.network, logger: silentLogger });
  return other.read([sandboxId]).get(sandboxId);
};
const follow = (): void => {
  book = createUsageBook();
  book.follow({ table: bench.context.table, network: bench.network, logger: silentLogger });
};

beforeEach(async () => {
  bench = await createOperationBench();
  ({ sandboxId } = (await bench.addRunning({ network: limited() })).record);
  follow();
});
afterEach(() => bench[Symbol.asyncDispose]());

const pause = async (keepMemory = true): Promise<void> => {
  const wanted = { keepMemory, cause: 'request', durability: 'on-return' } as const;
  await pauseSandbox(bench.context, sandboxId, wanted);
  await vi.waitFor(() => expect(record()?.state).toBe('paused'));
};
const resume = async (withMemory = true): Promise<void> => {
  await resumeSandbox(bench.context, sandboxId, { timeoutSeconds: 60, withMemory, cause: 'request' });
};

it('what passed since the last report counts in full when a new egress process asks', () => {
  expect(used()).toBe(0);
  pass(300);
  expect(used()).toBe(300);
  count(280);
  expect(used()).toBe(280);
  pass(500);
  expect(used()).toBe(480);
});

it('a runner that was killed finds no less than what was used', async () => {
  pass(300);
  count(280);
  await vi.waitFor(async () => expect(await reread()).toBe(280));
  pass(700);
  expect(await reread()).toBe(680);
});

it.each([true, false])(
  'a pause (memory: %s) and a resume keep the count, whose interface begins anew',
  async (memory) => {
    pass(300);
    count(280);
    pass(400);
    await pause(memory);
    bench.network.traffic.clear();
    expect([used(), await reread()]).toEqual([380, 380]);
    await resume(memory);
    expect(used()).toBe(380);
    pass(50);
    expect([used(), await reread()]).toEqual([430, 430]);
  },
);

it('the last count of the egress process replaces the estimate of a pause', async () => {
  pass(400);
  const generation = record()?.generation ?? '';
  await pause();
  bench.network.traffic.clear();
  count(390, generation);
  expect(used()).toBe(390);
  await resume();
  count(100, generation);
  expect(used()).toBe(390);
});

it('a fork has a count of its own', async () => {
  pass(300);
  count(280);
  const [made] = await forkSandbox(bench.context, {
    ...{
      source: { sandboxId },
      count: 1,
      timeoutSeconds: 30,
      teamId: 'team',
      keyId: 'k',
      creationId: '',
      secure: false,
    },
  });
  if (made === undefined || !('sandbox' in made)) throw new Error('no fork');
  const fork = made.sandbox.record.sandboxId;
  expect(book.read([fork, sandboxId]).get(fork)).toBe(0);
  expect(used()).toBeGreaterThanOrEqual(280);
});

it('counts only while the policy has a byte limit, and goes on with the same count afterward', async () => {
  pass(300);
  count(280);
  await setNetworkPolicy(bench.context, sandboxId, { ...limited(), limits: undefined });
  pass(10_000);
  expect(used()).toBe(280);
  await setNetworkPolicy(bench.context, sandboxId, limited());
  expect([used(), await reread()]).toEqual([280, 280]);
  pass(10_100);
  expect(used()).toBe(380);
});

it('ignores counts of sandboxes that it does not know or that are ending', async () => {
  book.write([{ sandboxId: 'nobody', generation: '', bytes: 5 }]);
  expect(book.read(['nobody']).size).toBe(0);
  await bench.context.abandon(sandboxId);
  count(5, 'first');
  expect(await bench.readRecord(sandboxId)).toBeUndefined();
});

it('ignores counts of a sandbox without a byte limit, and takes one count of each sandbox from a call', async () => {
  await setNetworkPolicy(bench.context, sandboxId, { ...limited(), limits: undefined });
  count(5);
  expect(record()?.egressUsage).toBeUndefined();
  await setNetworkPolicy(bench.context, sandboxId, limited());
  let changes = 0;
  bench.context.table.onChange(() => (changes += 1));
  const generation = record()?.generation ?? '';
  book.write([1, 2, 3].map((bytes) => ({ sandboxId, generation, bytes })));
  expect([used(), changes]).toEqual([3, 1]);
});

it('an earlier version has left no count, and nothing is known before the start', () => {
  expect(createUsageBook().read([sandboxId]).size).toBe(0);
  expect(record()?.egressUsage).toBeUndefined();
  expect(used()).toBe(0);
});
