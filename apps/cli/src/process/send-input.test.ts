/** @module-tag violation */
import { randomBytes, randomInt } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { createInputQueue } from './input-queue.ts';
import { sendInput } from './send-input.ts';
import type { InputTarget } from './send-input.ts';

interface Received {
  bytes: Buffer;
  isClosed: boolean;
}

/** A process that takes a part of each message, and whose connections fail as `fail` says. */
function openProcess(fail: () => ConnectError | undefined): Received & { client: InputTarget['client'] } {
  const received: Received = { bytes: Buffer.alloc(0), isClosed: false };
  const client = {
    write: ({ input }: { input: { position: bigint; data: Uint8Array } }) => {
      const from = Number(input.position);
      if (from > received.bytes.length) throw new Error('input is missing');
      const rest = input.data.subarray(received.bytes.length - from);
      const fault = fail();
      const taken = fault === undefined ? rest : rest.subarray(0, randomInt(rest.length + 1));
      received.bytes = Buffer.concat([received.bytes, taken]);
      return fault === undefined ? Promise.resolve({}) : Promise.reject(fault);
    },
    closeInput: () => {
      received.isClosed = true;
      return Promise.resolve({});
    },
  };
  return Object.assign(received, { client: client as unknown as InputTarget['client'] });
}

function queueOf(pieces: readonly Uint8Array[]) {
  const queue = createInputQueue(new PassThrough());
  for (const piece of pieces) queue.push(piece);
  queue.end();
  return queue;
}

const { signal } = new AbortController();

test('input that was taken in part before a connection broke is not sent twice', async () => {
  let calls = 0;
  const process = openProcess(() => (calls++ % 2 === 0 ? new ConnectError('cut', Code.Unavailable) : undefined));
  const input = randomBytes(600_000);
  const { client } = process;
  await sendInput(queueOf([input.subarray(0, 7), input.subarray(7)]), {
    ...{ client, processId: 'p', isTerminal: false, signal },
  });
  expect(process.bytes.equals(input)).toBe(true);
  expect(process.isClosed).toBe(true);
});

test('a program that takes no more input is no error, but a refused call is one', async () => {
  const closed = openProcess(() => new ConnectError('closed', Code.FailedPrecondition));
  await sendInput(queueOf([randomBytes(10)]), { ...closed, processId: 'p', isTerminal: false, signal });
  expect(closed.isClosed).toBe(false);
  const refused = openProcess(() => new ConnectError('no', Code.Unauthenticated));
  await expect(
    sendInput(queueOf([randomBytes(10)]), { ...refused, processId: 'p', isTerminal: false, signal }),
  ).rejects.toThrow('no');
});

test.each([
  ['line\n', 'line\n\x04'],
  ['part', 'part\x04\x04'],
  ['', '\x04'],
])('the input %j of a terminal ends', async (text, sent) => {
  const process = openProcess(() => undefined);
  const { client } = process;
  await sendInput(queueOf(text === '' ? [] : [Buffer.from(text)]), {
    ...{ client, processId: 'p', isTerminal: true, signal },
  });
  expect(process.bytes.toString()).toBe(sent);
});

test('the source waits while too much is queued', async () => {
  const source = new PassThrough();
  const queue = createInputQueue(source);
  queue.push(new Uint8Array(2_000_000));
  expect(source.isPaused()).toBe(true);
  expect((await queue.take())?.length).toBe(2_000_000);
  expect(source.isPaused()).toBe(false);
});
