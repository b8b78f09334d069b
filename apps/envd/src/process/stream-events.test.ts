import type { HandlerContext } from '@connectrpc/connect';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ManagedProcess, ProcessEventInit } from './managed-process.ts';
import { createOutputHub } from './output-hub.ts';
import type { OutputHub } from './output-hub.ts';
import { streamEvents } from './stream-events.ts';

let output: OutputHub<ProcessEventInit>;
let call: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  output = createOutputHub({ highWaterBytes: 1000, stallMs: 1000, stalled: () => new Error('stalled') });
  call = new AbortController();
});
afterEach(() => void vi.useRealTimers());

const printed = (text: string): ProcessEventInit => ({
  event: { case: 'data', value: { output: { case: 'stdout', value: Buffer.from(text) } } },
});
const ended: ProcessEventInit = {
  event: { case: 'end', value: { exitCode: 0, exited: true, status: 'exit status 0' } },
};

function open(endEvent?: ProcessEventInit) {
  const process = { pid: 7, output, endEvent } as ManagedProcess;
  const context = { signal: call.signal, requestHeader: new Headers() } as HandlerContext;
  return streamEvents(process, context)[Symbol.asyncIterator]();
}

async function casesOf(stream: AsyncIterator<{ event: ProcessEventInit }>): Promise<unknown[]> {
  const cases: unknown[] = [];
  for (let next = await stream.next(); next.done !== true; next = await stream.next())
    cases.push(next.value.event.event?.case);
  return cases;
}

test('the start comes first, then the output since the call, then the end', async () => {
  output.publish(printed('before'), 6);
  const stream = open();
  const cases = [await stream.next()].map(({ value }) => (value as { event: ProcessEventInit }).event.event?.case);
  output.publish(printed('after'), 5);
  output.publish(ended, 0);
  output.end();
  expect([...cases, ...(await casesOf(stream))]).toEqual(['start', 'data', 'end']);
});

test('output is not lost while the start event is being sent', async () => {
  const stream = open();
  const first = stream.next();
  output.publish(printed('at once'), 7);
  output.end();
  await first;
  expect(await casesOf(stream)).toEqual(['data']);
});

test('an ended process answers with its start and its end', async () => {
  output.end();
  expect(await casesOf(open(ended))).toEqual(['start', 'end']);
});

test('at the deadline of the call the stream fails with deadline_exceeded', async () => {
  const stream = open();
  await stream.next();
  call.abort(new ConnectError('too late', Code.DeadlineExceeded));
  await expect(stream.next()).rejects.toMatchObject({ code: Code.DeadlineExceeded });
});

test.each([new ConnectError('gone', Code.Canceled), new Error('gone'), undefined])(
  'a client that leaves (%s) does not cause that error',
  async (reason) => {
    const stream = open();
    await stream.next();
    call.abort(reason);
    expect(await stream.next()).toMatchObject({ done: true });
  },
);

test('a call that ends normally is not an error', async () => {
  const stream = open();
  await stream.next();
  output.end();
  expect(await stream.next()).toMatchObject({ done: true });
});

test('keepalives are sent during silence', async () => {
  const stream = open();
  await stream.next();
  const next = stream.next();
  await vi.advanceTimersByTimeAsync(90_000);
  expect(await next).toMatchObject({ value: { event: { event: { case: 'keepalive' } } } });
});
