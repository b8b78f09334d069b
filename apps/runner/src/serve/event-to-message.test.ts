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

test('the event `snapshotDone` tells a watcher that all present sandboxes are listed', () => {
  expect(eventToMessage({ kind: 'listed' })).toEqual({ event: { case: 'snapshotDone', value: {} } });
});
