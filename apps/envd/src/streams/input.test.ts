/** @module-tag violation */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { LogPolicy, OutputStream } from '@soulbox/contract/process-v1';
import type { InteractRequestSchema } from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { describe, expect, test } from 'vitest';
import { createClients } from '../testing/clients.ts';
import { collectEvents, exitOf, textOf } from '../testing/process-events.ts';
import type { Event } from '../testing/process-events.ts';
import { http2, useStreams } from '../testing/use-streams.ts';

const { envd, clients, start, attach } = useStreams();

describe('input', () => {
  const write = async (processId: string, writer: string, position: number | undefined, text: string) =>
    await clients().streams.write({
      processId,
      writer,
      input: { data: Buffer.from(text), ...(position === undefined ? {} : { position: BigInt(position) }) },
    });

  test('repeated and overlapping writes are applied once, each writer counts for itself', async () => {
    const id = await start('cat', { hasInput: true });
    await write(id, 'a', 0, 'hello ');
    expect((await write(id, 'a', 0, 'hello ')).input).toMatchObject({ accepted: 6n, closed: false });
    await write(id, 'b', 0, '[b]');
    await write(id, 'a', 3, 'lo world');
    await write(id, 'a', undefined, '!');
    await clients().streams.closeInput({ processId: id });
    await clients().streams.closeInput({ processId: id });
    expect(textOf(await attach(id))).toBe('hello [b]world!');
    await expect(write(id, 'a', 12, 'late')).rejects.toMatchObject({ code: Code.FailedPrecondition });
  });

  test('input with a hole is refused with the expected position', async () => {
    const id = await start('cat', { hasInput: true });
    await expect(write(id, 'a', 5, 'x')).rejects.toMatchObject({
      code: Code.OutOfRange,
      rawMessage: expect.stringContaining('next expected position of this writer is 0') as string,
    });
    await clients().streams.signal({ processId: id, signal: 9 });
  });

  test('a write that was half taken when its connection broke continues where it stopped', async () => {
    // Until the shell reads, only what fits into a pipe is taken.
    const id = await start('sleep 0.7; sha256sum', { hasInput: true });
    const bytes = Buffer.alloc(1_000_000, 'some input ');
    const first = clients().streams.write(
      { processId: id, writer: 'w', input: { position: 0n, data: bytes } },
      { timeoutMs: 200 },
    );
    await expect(first).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await clients().streams.write({ processId: id, writer: 'w', input: { position: 0n, data: bytes } });
    await clients().streams.closeInput({ processId: id });
    const { process } = await clients().streams.get({ processId: id });
    expect(process?.input?.closed).toBe(true);
    const events = await attach(id);
    expect(textOf(events)).toBe(`${createHash('sha256').update(bytes).digest('hex')}  -\n`);
    expect(exitOf(events)).toMatchObject({ code: 0 });
  });

  test('many writers are refused, and so is too much of everything', async () => {
    const id = await start('cat >/dev/null', { hasInput: true });
    for (let count = 0; count < 64; count += 1) await write(id, `w${count}`, 0, 'x');
    await expect(write(id, 'one more', 0, 'x')).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await expect(write(id, 'x'.repeat(65), 0, 'x')).rejects.toMatchObject({ code: Code.InvalidArgument });
    const large = { processId: id, input: { data: Buffer.alloc(1024 * 1024 + 1) } };
    await expect(clients().streams.write(large)).rejects.toMatchObject({ code: Code.InvalidArgument });
    await clients().streams.signal({ processId: id, signal: 15 });
    await expect(clients().streams.signal({ processId: id, signal: 65 })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
  });
});

type InteractInit = MessageInitShape<typeof InteractRequestSchema>;

/** The client's side of Interact. */
function converse(first: InteractInit['request'], { streams } = clients()) {
  const queue: InteractInit[] = [{ request: first } as InteractInit];
  let wake = (): void => undefined;
  let isDone = false;
  async function* requests(): AsyncIterable<InteractInit> {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) yield next;
      else if (isDone) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const events = streams.interact(requests());
  return {
    events,
    send: (request: InteractInit['request']): void => {
      queue.push({ request } as InteractInit);
      wake();
    },
    finish: (): void => {
      isDone = true;
      wake();
    },
  };
}

describe('Interact', () => {
  const cat = { start: { command: { program: 'cat' }, hasInput: true }, options: { writer: 'me' } };

  test('carries start, input, its acceptance, output and end in one call', async () => {
    const { events, send, finish } = converse({ case: 'start', value: cat });
    send({ case: 'input', value: { position: 0n, data: Buffer.from('one ') } });
    send({ case: 'input', value: { position: 0n, data: Buffer.from('one two') } });
    send({ case: 'closeInput', value: {} });
    finish();
    const all = await collectEvents(events);
    expect(all[0]?.case).toBe('attached');
    expect(textOf(all)).toBe('one two');
    const accepted = all.flatMap((event) => (event.case === 'input' ? [event.value] : []));
    expect(accepted.at(-1)).toMatchObject({ accepted: 7n, closed: true });
    expect(exitOf(all)).toMatchObject({ code: 0 });
  });

  test('a signal passes input that the process does not read', async () => {
    const value = { start: { command: { program: 'sleep', args: ['60'] }, hasInput: true } };
    const { events, send } = converse({ case: 'start', value });
    for (let count = 0; count < 4; count += 1) send({ case: 'input', value: { data: Buffer.alloc(200_000) } });
    await sleep(200);
    send({ case: 'signal', value: 15 });
    expect(exitOf(await collectEvents(events))).toMatchObject({ signal: 15 });
  });

  test('a reset does not end input that was half taken, and the rest arrives in another call', async () => {
    await using proxy = await startFaultProxy(envd().port);
    const start = { command: { program: 'sha256sum' }, hasInput: true };
    const options = { writer: 'me' };
    const first = converse(
      { case: 'start', value: { start, options } },
      createClients(`http://127.0.0.1:${proxy.port}`, http2),
    );
    const iterator = first.events[Symbol.asyncIterator]();
    const attached = ((await iterator.next()).value as { event?: { event: Event } } | undefined)?.event?.event;
    const processId = attached?.case === 'attached' ? (attached.value.process?.id ?? '') : '';
    const [sigcont, sigstop] = [18, 19];
    await clients().streams.signal({ processId, signal: sigstop });

    const bytes = Buffer.alloc(800_000, 'some input ');
    const sendAll = ({ send }: ReturnType<typeof converse>): void => {
      for (let at = 0; at < bytes.length; at += 200_000)
        send({ case: 'input', value: { position: BigInt(at), data: bytes.subarray(at, at + 200_000) } });
      send({ case: 'closeInput', value: {} });
    };
    sendAll(first);
    await sleep(200);
    proxy.cutAll();
    await expect(iterator.next()).rejects.toThrow();
    await sleep(100);
    expect((await clients().streams.get({ processId })).process?.input?.closed).toBe(false);

    const second = converse({ case: 'attach', value: { processId, options } });
    sendAll(second);
    await clients().streams.signal({ processId, signal: sigcont });
    expect(textOf(await collectEvents(second.events))).toContain(createHash('sha256').update(bytes).digest('hex'));
  });

  test('a terminal can be typed into and resized', async () => {
    const value = {
      start: {
        command: { program: '/bin/bash', args: ['--norc', '-i'], env: { PS1: '', TERM: 'dumb' } },
        terminal: { cols: 80, rows: 24 },
      },
    };
    const { events, send } = converse({ case: 'start', value });
    send({ case: 'resize', value: { cols: 0, rows: 0 } });
    send({ case: 'resize', value: { cols: 132, rows: 50 } });
    send({ case: 'input', value: { data: Buffer.from('stty size; exit 5\n') } });
    const all = await collectEvents(events);
    expect(textOf(all, OutputStream.TERMINAL)).toContain('50 132');
    expect(exitOf(all)).toMatchObject({ code: 5 });
  });

  test('acknowledgements in the stream let a process that blocks continue', async () => {
    const value = {
      start: {
        command: { program: 'head', args: ['-c', '2000000', '/dev/zero'] },
        log: { maxBytes: 65_536n, policy: LogPolicy.BLOCK },
      },
    };
    const { events, send } = converse({ case: 'start', value });
    let bytes = 0;
    for await (const { event } of events) {
      if (event?.event.case !== 'output') continue;
      bytes += event.event.value.data.length;
      send({ case: 'acknowledge', value: BigInt(bytes) });
    }
    expect(bytes).toBe(2_000_000);
  });

  test.each<[string, InteractInit['request'][], Code]>([
    ['no start', [{ case: 'resize', value: {} }], Code.InvalidArgument],
    ['an unknown request', [{ case: undefined }], Code.InvalidArgument],
    [
      'two starts',
      [
        { case: 'start', value: cat },
        { case: 'start', value: cat },
      ],
      Code.InvalidArgument,
    ],
    ['an unknown process', [{ case: 'attach', value: { processId: 'x' } }], Code.NotFound],
    [
      'a wrong signal',
      [
        { case: 'start', value: cat },
        { case: 'signal', value: 0 },
      ],
      Code.InvalidArgument,
    ],
    [
      'a hole',
      [
        { case: 'start', value: cat },
        { case: 'input', value: { position: 9n } },
      ],
      Code.OutOfRange,
    ],
    [
      'output that is not there',
      [
        { case: 'start', value: cat },
        { case: 'acknowledge', value: 9n },
      ],
      Code.OutOfRange,
    ],
    [
      'no terminal',
      [
        { case: 'start', value: cat },
        { case: 'resize', value: {} },
      ],
      Code.FailedPrecondition,
    ],
  ])('%s ends the call, and never the process', async (_name, [first, ...rest], code) => {
    const { events, send } = converse(first);
    let attached: string | undefined;
    const watched = async (): Promise<void> => {
      for await (const { event } of events)
        if (event?.event.case === 'attached') {
          attached = event.event.value.process?.id;
          for (const request of rest) send(request);
        }
    };
    await expect(watched()).rejects.toMatchObject({ code });
    expect(attached !== undefined).toBe(first?.case === 'start');
    if (attached === undefined) return;
    expect((await clients().streams.get({ processId: attached })).process?.exit).toBeUndefined();
    await clients().streams.signal({ processId: attached, signal: 9 });
  });
});
