import { SandboxState } from '@soulbox/contract/runner';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEvents } from '../registry/events.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { eventToMessage } from './event-to-message.ts';

let bench: OperationBench;
beforeEach(async () => {
  bench = await createOperationBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

test('an event contains the sandbox as it was when the event was emitted, however late it is read', async () => {
  const sandbox = await bench.addRunning();
  const events = createEvents();
  const over = new AbortController();
  const watched = events.watch([{ kind: 'listed' }], over.signal);
  expect((await watched.next()).value).toEqual({ kind: 'listed' });
  events.emit({ kind: 'updated', record: sandbox.record });
  await bench.context.table.step(sandbox, 'pausing');
  await bench.context.table.step(sandbox, 'paused');
  const next = await watched.next();
  over.abort();
  expect(next.done === true ? undefined : eventToMessage(next.value)).toMatchObject({
    event: { case: 'updated', value: { sandbox: { state: SandboxState.RUNNING } } },
  });
});

test('a created sandbox is announced after its response, and before all later events', async () => {
  const { record } = await bench.addRunning();
  const events = createEvents();
  const over = new AbortController();
  const watched = events.watch([], over.signal);
  const order: string[] = [];
  const reading = (async () => {
    for await (const { kind } of watched) if (order.push(kind) === 4) break;
  })();
  await Promise.resolve();
  events.emit({ kind: 'created', record });
  await Promise.resolve().then(() => order.push('response'));
  events.emit({ kind: 'updated', record });
  events.emit({ kind: 'ended', sandboxId: record.sandboxId, cause: 'killed' });
  await reading;
  over.abort();
  expect(order).toEqual(['response', 'created', 'updated', 'ended']);
});

test('the event `snapshotDone` tells a watcher that all present sandboxes are listed', () => {
  expect(eventToMessage({ kind: 'listed' })).toEqual({ event: { case: 'snapshotDone', value: {} } });
});
