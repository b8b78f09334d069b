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
function drain(queue: ConnectionQueue, recorded = 0): { records: EgressRecord[]; dropped: number; number: number } {
  const all = { records: [] as EgressRecord[], dropped: 0, number: 0 };
  let batch: ConnectionBatch = queue.take({ recorded, refused: 0 });
  while (batch.records.length + batch.dropped > 0) {
    all.records.push(...batch.records);
    all.dropped += batch.dropped;
    batch = queue.take({ recorded: batch.number, refused: 0 });
  }
  all.number = batch.number;
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

test('who waits is woken by the next record, also by one that is only counted, and by the end of the wait', async () => {
  const queue = createConnectionQueue();
  const never = new AbortController().signal;
  let isWoken = false;
  const waiting = queue.untilMore(never).then(() => (isWoken = true));
  await Promise.resolve();
  expect(isWoken).toBe(false);
  queue.add(recordOf('a'));
  await waiting;
  // There is something already.
  await queue.untilMore(never);
  const { number } = queue.take(nothing);
  await queue.untilMore(AbortSignal.timeout(20));
  await queue.untilMore(AbortSignal.abort());
  expect(queue.take({ recorded: number, refused: 0 }).records).toEqual([]);
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
  // Two thirds of the room, and a sum of each.
  expect(records.length).toBeGreaterThan(13_300);
  expect(records.length).toBeLessThan(13_400);
  expect(records.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(50_000);
  expect(dropped).toBe(0);
});

test('more sandboxes than can be counted are at least counted together', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 25_010; n += 1) queue.add(recordOf(`s${n}`));
  expect(drain(queue).dropped).toBe(10);
});

test('a sandbox that fills its share takes nothing from the others', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 20_000; n += 1) queue.add(recordOf('a'));
  for (let n = 0; n < 4000; n += 1) queue.add(recordOf(`b${n}`));
  for (let n = 0; n < 20_000; n += 1) queue.add(recordOf('a'));
  queue.add(recordOf('c', { port: 7 }));
  const { records, number } = drain(queue);
  expect(records.filter(({ sandboxId }) => sandboxId.startsWith('b')).map(({ reason }) => reason)).toEqual(
    Array.from({ length: 4000 }, () => ''),
  );
  expect(records).toContainEqual(recordOf('c', { port: 7 }));
  const own = records.filter(({ sandboxId }) => sandboxId === 'a');
  expect(own.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(40_000);
  // What has been taken is free again.
  queue.add(recordOf('a', { port: 8 }));
  expect(drain(queue, number).records).toEqual([recordOf('a', { port: 8 })]);
});

test('a batch that nobody can take is given up, with its sums, and the others follow', () => {
  const queue = createConnectionQueue();
  for (let n = 0; n < 500; n += 1) queue.add(recordOf('a'));
  queue.add(recordOf('b', { port: 9 }));
  const first = queue.take(nothing);
  for (let round = 0; round < 99; round += 1) expect(queue.take(nothing)).toBe(first);
  const second = queue.take(nothing);
  expect(second.records).toEqual([
    recordOf('b', { port: 9 }),
    expect.objectContaining({ sandboxId: 'a', reason: 'not_logged', count: 500 }),
  ]);
});
