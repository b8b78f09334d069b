import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import { expect, test } from 'vitest';
import { createConnectionQueue } from './connection-queue.ts';
import type { ConnectionBatch, ConnectionQueue } from './connection-queue.ts';

const recordOf = (sandboxId: string, more: Partial<EgressRecord> = {}): EgressRecord => ({
  ...{ sandboxId, teamId: 't', startedAtMs: 1000, durationMs: 10, protocol: 'tcp', name: '', address: '192.0.2.1' },
  ...{ port: 1, rule: '', isAllowed: true, reason: '', bytesSent: 1, bytesReceived: 2, method: '', path: '', ...more },
});
const nothing = { recorded: 0, refused: 0 };

/** Takes and confirms until nothing is left. */
function drain(queue: ConnectionQueue): { records: EgressRecord[]; dropped: number } {
  const all = { records: [] as EgressRecord[], dropped: 0 };
  let batch: ConnectionBatch = queue.take(nothing);
  while (batch.records.length + batch.dropped > 0) {
    all.records.push(...batch.records);
    all.dropped += batch.dropped;
    batch = queue.take({ recorded: batch.number, refused: 0 });
  }
  return all;
}

test('records are given in their order, in batches of 500', () => {
  const queue = createConnectionQueue();
  for (let port = 1; port <= 1200; port += 1) queue.add(recordOf('a', { port }));
  const first = queue.take(nothing);
  expect(first.records).toHaveLength(500);
  const rest = drain(queue).records;
  // The first batch was not confirmed.
  expect(rest.map(({ port }) => port)).toEqual(Array.from({ length: 1200 }, (_, index) => index + 1));
});

test('a batch that was not confirmed is given again unchanged, and what came since follows it', () => {
  const queue = createConnectionQueue();
  queue.add(recordOf('a', { port: 1 }));
  const first = queue.take(nothing);
  queue.add(recordOf('a', { port: 2 }));
  expect(queue.take(nothing)).toEqual(first);
  expect(queue.take({ recorded: first.number - 1, refused: 0 })).toEqual(first);
  const second = queue.take({ recorded: first.number, refused: 0 });
  expect(second.records.map(({ port }) => port)).toEqual([2]);
});

test('of a batch that could not be recorded, the number and the bytes of each sandbox are kept', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 3; n += 1) queue.add(recordOf('a', { startedAtMs: 1000 + n }));
  queue.add(recordOf('b'));
  queue.add(recordOf('a', { reason: 'not_logged', count: 7 }));
  const first = queue.take(nothing);
  const second = queue.take({ recorded: 0, refused: first.number });
  expect(second.records).toEqual([
    expect.objectContaining({ sandboxId: 'a', reason: 'not_logged', count: 10, startedAtMs: 1000, durationMs: 12 }),
    expect.objectContaining({ sandboxId: 'b', count: 1, bytesSent: 1, bytesReceived: 2 }),
  ]);
  // The disk may stay full for long: the sums do not grow.
  let batch = second;
  for (let round = 0; round < 100; round += 1) batch = queue.take({ recorded: 0, refused: batch.number });
  expect(batch.records).toEqual(second.records);
});

test('while the control plane is away, memory is bounded and nothing goes uncounted', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 50_000; n += 1) queue.add(recordOf(n % 2 === 0 ? 'a' : 'b'));
  const { records, dropped } = drain(queue);
  expect(records).toHaveLength(20_002);
  expect(records.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(50_000);
  expect(dropped).toBe(0);
});

test('more sandboxes than can be counted are at least counted together', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 20_000; n += 1) queue.add(recordOf('a'));
  for (let n = 0; n < 5010; n += 1) queue.add(recordOf(`s${n}`));
  expect(drain(queue).dropped).toBe(10);
});
