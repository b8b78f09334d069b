import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogBudget } from '../output-log/log-budget.ts';
import type { LogStart } from '../output-log/log-reader.ts';
import { createOutputLog } from '../output-log/output-log.ts';
import type { OutputLog } from '../output-log/output-log.ts';
import type { ManagedProcess } from '../process/managed-process.ts';
import type { EventInit, OpenStreams } from './follow.ts';
import { follow } from './follow.ts';

let log: OutputLog;
let process: ManagedProcess;
let streams: OpenStreams;
let left: AbortController;
beforeEach(() => {
  log = createOutputLog({
    ...{ path: '/proc/nowhere', maxBytes: 1024, policy: 'drop-oldest', usesDisk: false, budget: createLogBudget() },
    onFull: () => undefined,
    onDiskFailure: () => undefined,
  });
  const spec = { origin: 'soulbox', log: { maxBytes: 1024, policy: 'drop-oldest' } };
  const config = { cmd: 'cat', args: [], envs: {} };
  process = { id: 'p', pid: 7, spec, config, log, input: { kind: 'none' }, userName: 'user', startedAtMs: 0 } as never;
  streams = { count: 0 };
  left = new AbortController();
});
afterEach(() => log.release());

function attach(start: LogStart): AsyncIterator<EventInit> {
  const events = follow(process, streams, { start, keepaliveMs: 60_000, signal: left.signal });
  return events[Symbol.asyncIterator]();
}

test('nothing of a stream that was left stays at a process that is silent', async () => {
  const iterators = Array.from({ length: 20 }, () => attach({ kind: 'oldest' }));
  for (const iterator of iterators)
    expect((await iterator.next()).value).toMatchObject({ event: { case: 'attached' } });
  const waits = iterators.map(async (iterator) => await iterator.next());
  await vi.waitFor(() => expect(log.listeners.size).toBe(20));
  left.abort();
  expect((await Promise.allSettled(waits)).map(({ status }) => status)).toEqual(Array(20).fill('rejected'));
  expect([log.listeners.size, streams.count]).toEqual([0, 0]);
});

test('streams that begin at the same time do not pass their limit', async () => {
  streams.count = 2046;
  log.append(1, Buffer.from('output'));
  const begins = await Promise.allSettled(
    Array.from({ length: 5 }, async () => await attach({ kind: 'position', position: 3 }).next()),
  );
  expect(begins.map(({ status }) => status).sort()).toEqual([
    ...['fulfilled', 'fulfilled'],
    ...['rejected', 'rejected', 'rejected'],
  ]);
  expect(streams.count).toBe(2048);
});

test('a stream that cannot begin takes no place', async () => {
  await expect(attach({ kind: 'position', position: 1 }).next()).rejects.toMatchObject({
    reason: 'position_out_of_range',
  });
  expect(streams.count).toBe(0);
});
