/** @module-tag violation */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { Code } from '@connectrpc/connect';
import type { EventSchema, InteractRequestSchema, StartRequestSchema } from '@soulbox/contract/process-v1';
import {
  AttachRequestSchema,
  ExitCause,
  GetRequestSchema,
  LogPolicy,
  Origin,
  OutputStream,
  StartRequestSchema as StartRequests,
} from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProtocolOptions } from '../testing/clients.ts';
import { asUser, createClients, runShell, startInBackground } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
let clients: ReturnType<typeof createClients>;
const http2 = { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true } as const;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  clients = createClients(envd.baseUrl, http2);
});
afterAll(async () => await envd[Symbol.asyncDispose]());

type Event = NonNullable<MessageInitShape<typeof EventSchema>['event']>;
type StartInit = Exclude<MessageInitShape<typeof StartRequestSchema>, Message>;
type InteractInit = MessageInitShape<typeof InteractRequestSchema>;

/** Starts a shell line. Returns the id. */
async function start(line: string, options: StartInit = {}): Promise<string> {
  const command = { program: '/bin/bash', args: ['-c', line] };
  const { process } = await clients.streams.start({ command, ...options });
  return process?.id ?? '';
}

async function collect(events: AsyncIterable<{ event?: { event: unknown } | undefined }>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const { event } of events) all.push(event?.event as Event);
  return all;
}

function textOf(events: readonly Event[], stream?: OutputStream): string {
  return Buffer.concat(
    events.map((event) =>
      event.case === 'output' && (stream === undefined || event.value.stream === stream)
        ? Buffer.from(event.value.data ?? [])
        : Buffer.alloc(0),
    ),
  ).toString();
}

const attach = async (processId: string, options: object = {}): Promise<Event[]> =>
  await collect(clients.streams.attach({ processId, ...options }));
const at = (position: number) => ({ from: { from: { case: 'position' as const, value: BigInt(position) } } });
const pidOf = (response: unknown): unknown =>
  (response as { event: { event: { value: { process: { pid: number } } } } }).event.event.value.process.pid;
const exitOf = (events: readonly Event[]) => {
  const last = events.at(-1);
  return last?.case === 'ended' ? last.value.exit : undefined;
};

describe('output', () => {
  test.each<ProtocolOptions>([
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: false },
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: true },
    { protocol: 'connect', httpVersion: '2', useBinaryFormat: true },
    { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true },
    { protocol: 'grpc-web', httpVersion: '1.1', useBinaryFormat: true },
  ])('%o: everything from the beginning, with positions, and the exit', async (options) => {
    const { streams } = createClients(envd.baseUrl, options);
    const id = await start('echo out; sleep 0.1; echo error >&2; sleep 0.1; echo more; exit 3');
    const events = await collect(streams.attach({ processId: id }));
    expect(events.map((event) => event.case)).toEqual(['attached', 'output', 'output', 'output', 'ended']);
    expect(events.slice(1)).toMatchObject([
      { value: { position: 0n, stream: OutputStream.STDOUT, streamPosition: 0n } },
      { value: { position: 4n, stream: OutputStream.STDERR, streamPosition: 0n } },
      { value: { position: 10n, stream: OutputStream.STDOUT, streamPosition: 4n } },
      { value: { position: 15n, exit: { code: 3, signal: 0, status: 'exit status 3', cause: ExitCause.OWN } } },
    ]);
    expect(textOf(await attach(id, at(12)))).toBe('re\n');
  });

  test('is not compressed, also for clients that accept that', async () => {
    const id = await start('head -c 100000 /dev/zero');
    const request = toBinary(AttachRequestSchema, create(AttachRequestSchema, { processId: id }));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(request.length, 1);
    const response = await fetch(`${envd.baseUrl}/soulbox.process.v1.ProcessService/Attach`, {
      method: 'POST',
      headers: { 'content-type': 'application/connect+proto', 'connect-accept-encoding': 'gzip' },
      body: Buffer.concat([head, request]),
    });
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(100_000);
  });

  test('a position beyond the end is out of range, and the message names the end', async () => {
    const id = await start('echo 12345');
    await clients.streams.wait({ processId: id });
    for (const position of [7n, 2n ** 63n, 2n ** 64n - 1n])
      await expect(attach(id, { from: { from: { case: 'position', value: position } } })).rejects.toMatchObject({
        code: Code.OutOfRange,
        rawMessage: expect.stringContaining('beyond the end of the output, 6') as string,
      });
    expect((await attach(id, at(6))).map((event) => event.case)).toEqual(['attached', 'ended']);
    await expect(attach('nobody')).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('readers that do not read slow nobody down', async () => {
    const bytes = 4 * 1024 * 1024;
    const id = await start(`read; head -c ${bytes} /dev/zero | tr '\\0' x`, { hasInput: true });
    const stalled = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const leave = new AbortController();
        const { streams } = createClients(envd.baseUrl, http2);
        const iterator = streams.attach({ processId: id }, { signal: leave.signal })[Symbol.asyncIterator]();
        await iterator.next();
        return { leave, iterator };
      }),
    );
    await clients.streams.write({ processId: id, input: { data: Buffer.from('\n') } });
    const hashes = await Promise.all(Array.from({ length: 3 }, async () => hashOf(await attach(id))));
    expect(hashes).toEqual(Array(3).fill(createHash('sha256').update('x'.repeat(bytes)).digest('hex')));
    for (const { leave, iterator } of stalled) {
      leave.abort();
      await iterator.next().catch(() => undefined);
    }
  }, 60_000);

  test('a process that blocks continues when its output is acknowledged', async () => {
    const id = await start('head -c 1000000 /dev/zero; echo done', {
      log: { maxBytes: 65_536n, policy: LogPolicy.BLOCK },
    });
    let bytes = 0;
    for await (const { event } of clients.streams.attach({ processId: id })) {
      const inner = event?.event;
      expect(inner?.case).not.toBe('gap');
      if (inner?.case !== 'output') continue;
      bytes += inner.value.data.length;
      const position = inner.value.position + BigInt(inner.value.data.length);
      await clients.streams.acknowledge({ processId: id, position });
    }
    expect(bytes).toBe(1_000_005);
  });

  test('a process whose full log must not lose anything is killed', async () => {
    const id = await start('head -c 3000000 /dev/zero; sleep 60', {
      log: { maxBytes: 65_536n, policy: LogPolicy.FAIL },
    });
    expect(exitOf(await attach(id))).toMatchObject({ code: -1, signal: 9, cause: ExitCause.LOG_FULL });
  });

  test('other users of the sandbox cannot read the files of the log', async () => {
    const id = await start('head -c 2000000 /dev/zero', { user: 'root' });
    await clients.streams.wait({ processId: id });
    const line = 'ls /var/lib/soulbox/process-logs; cat /var/lib/soulbox/process-logs/*';
    const { stdout, stderr } = await runShell(clients.process, line);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/Permission denied/);
  });

  test('keepalives are sent during silence', async () => {
    const events = await attach(await start('sleep 1.5'), { options: { keepaliveSeconds: 1 } });
    expect(events.map((event) => event.case)).toEqual(['attached', 'keepalive', 'ended']);
  });
});

function hashOf(events: readonly Event[]): string {
  const hash = createHash('sha256');
  for (const event of events) if (event.case === 'output') hash.update(event.value.data ?? new Uint8Array());
  return hash.digest('hex');
}

describe('processes of E2B clients', () => {
  test('have an id and a log, so that others can attach later', async () => {
    const { pid, disconnect } = await startInBackground(clients.process, {
      process: { cmd: '/bin/bash', args: ['-c', 'echo started; sleep 0.3; echo ended'] },
      tag: 'agent',
    });
    disconnect();
    const { processes } = await clients.streams.list({});
    const found = processes.find((process) => process.pid === pid);
    expect(found).toMatchObject({ tag: 'agent', origin: Origin.E2B, command: { program: '/bin/bash' }, user: 'user' });
    expect(textOf(await attach(found?.id ?? ''))).toBe('started\nended\n');
  });

  test('get all of their output in their own stream, however small the log is', async () => {
    const line = 'head -c 2000000 /dev/zero | wc -c >&2; head -c 2000000 /dev/zero';
    const { stdout, stderr } = await runShell(clients.process, line);
    expect([stdout.length, stderr]).toEqual([2_000_000, '2000000\n']);
  });

  test('ended ones are forgotten in a copy and at a new start, but those of this protocol are not in a copy', async () => {
    await runShell(clients.process, 'echo of the build');
    const id = await start('echo mine');
    await clients.streams.wait({ processId: id });
    await envd.resumed({ sandboxId: 'x', generation: 'y', isCopy: true });
    const { processes } = await clients.streams.list({});
    expect(processes.filter((process) => process.exit && process.origin === Origin.E2B)).toEqual([]);
    expect(textOf(await attach(id))).toBe('mine\n');
    await envd.init({});
    await expect(attach(id)).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe('input', () => {
  const write = async (processId: string, writer: string, position: number | undefined, text: string) =>
    await clients.streams.write({
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
    await clients.streams.closeInput({ processId: id });
    await clients.streams.closeInput({ processId: id });
    expect(textOf(await attach(id))).toBe('hello [b]world!');
    await expect(write(id, 'a', 12, 'late')).rejects.toMatchObject({ code: Code.FailedPrecondition });
  });

  test('input with a hole is refused with the expected position', async () => {
    const id = await start('cat', { hasInput: true });
    await expect(write(id, 'a', 5, 'x')).rejects.toMatchObject({
      code: Code.OutOfRange,
      rawMessage: expect.stringContaining('next expected position of this writer is 0') as string,
    });
    await clients.streams.signal({ processId: id, signal: 9 });
  });

  test('a write that was half taken when its connection broke continues where it stopped', async () => {
    // Until the shell reads, only what fits into a pipe is taken.
    const id = await start('sleep 0.7; sha256sum', { hasInput: true });
    const bytes = Buffer.alloc(1_000_000, 'some input ');
    const first = clients.streams.write(
      { processId: id, writer: 'w', input: { position: 0n, data: bytes } },
      { timeoutMs: 200 },
    );
    await expect(first).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await clients.streams.write({ processId: id, writer: 'w', input: { position: 0n, data: bytes } });
    await clients.streams.closeInput({ processId: id });
    const { process } = await clients.streams.get({ processId: id });
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
    await expect(clients.streams.write(large)).rejects.toMatchObject({ code: Code.InvalidArgument });
    await clients.streams.signal({ processId: id, signal: 15 });
    await expect(clients.streams.signal({ processId: id, signal: 65 })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
  });
});

describe('a process', () => {
  test('is started once, however often the request is repeated', async () => {
    const id = randomUUID();
    const request = { id, command: { program: 'sh', args: ['-c', 'echo $A$B'], env: { A: '1', B: '2' } } };
    const first = await clients.streams.start(request);
    const repeated = { ...request, command: { ...request.command, env: { B: '2', A: '1' } } };
    expect((await clients.streams.start(repeated)).process?.pid).toBe(first.process?.pid);
    expect(textOf(await attach(id))).toBe('12\n');
    await expect(start('true', { id })).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test('keeps its exit until it is forgotten', async () => {
    const id = await start('sleep 0.2; exit 4');
    await expect(clients.streams.forget({ processId: id })).rejects.toMatchObject({ code: Code.FailedPrecondition });
    expect((await clients.streams.wait({ processId: id, maxWaitMs: 1 })).process?.exit).toBeUndefined();
    expect((await clients.streams.wait({ processId: id })).process?.exit).toMatchObject({ code: 4 });
    expect((await clients.streams.get({ processId: id })).process?.exit).toMatchObject({ code: 4 });
    await clients.streams.forget({ processId: id });
    await clients.streams.forget({ processId: id });
    await expect(clients.streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('keeps its exit for the requested time', async () => {
    const id = await start('exit 4', { keepSeconds: 1 });
    await clients.streams.wait({ processId: id });
    await sleep(1300);
    await expect(clients.streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('is killed at its deadline, not at that of a call', async () => {
    const killed = await start('sleep 60', { deadlineMs: 300n });
    expect(exitOf(await attach(killed))).toMatchObject({ signal: 9, cause: ExitCause.DEADLINE });
    const survivor = await start('sleep 60');
    const call = collect(clients.streams.attach({ processId: survivor }, { timeoutMs: 200 }));
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect((await clients.streams.get({ processId: survivor })).process?.exit).toBeUndefined();
    await clients.streams.signal({ processId: survivor, signal: 9 });
  });

  test('runs as the requested user', async () => {
    expect(textOf(await attach(await start('id -un', { user: 'root' })))).toBe('root\n');
    const request = { command: { program: 'id', args: ['-un'] } };
    const { process } = await clients.streams.start(request, asUser('root'));
    expect(process?.user).toBe('root');
    await expect(start('id', { user: 'nobody-here' })).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  test.each<[string, StartInit]>([
    ['id', { id: '../x' }],
    ['id', { id: 'x'.repeat(65) }],
    ['log.max_bytes', { log: { maxBytes: 1n } }],
    ['log.max_bytes', { log: { maxBytes: 2n ** 64n - 1n } }],
    ['keep_seconds', { keepSeconds: 86_401 }],
    ['deadline_ms', { deadlineMs: 2n ** 40n }],
    ['columns', { terminal: { cols: 100_000, rows: 1 } }],
  ])('with a wrong %s is refused: %o', async (name, options) => {
    await expect(start('true', options)).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: expect.stringContaining(name) as string,
    });
  });
});

describe('what this version does not know', () => {
  const post = async (path: string, type: string, body: BodyInit, headers: Record<string, string> = {}) =>
    await fetch(`${envd.baseUrl}${path}`, { method: 'POST', headers: { 'content-type': type, ...headers }, body });
  const service = '/soulbox.process.v1.ProcessService';

  test('an unknown field is refused in both forms, and in the depth', async () => {
    const json = await post(`${service}/Get`, 'application/json', '{"processId":"x","color":"red"}');
    expect([json.status, await json.text()]).toEqual([400, expect.stringContaining('color')]);
    const field77 = Buffer.from([0xe8, 0x04, 0x01]);
    const message = Buffer.concat([toBinary(GetRequestSchema, create(GetRequestSchema, { processId: 'x' })), field77]);
    const binary = await post(`${service}/Get`, 'application/proto', message);
    expect([binary.status, await binary.text()]).toEqual([400, expect.stringContaining('has no field 77')]);
    const nested = create(StartRequests, { command: { program: 'true' } });
    if (nested.command) nested.command.$unknown = [{ no: 9, wireType: WireType.Varint, data: Buffer.from([1]) }];
    const inner = await post(`${service}/Start`, 'application/proto', Buffer.from(toBinary(StartRequests, nested)));
    expect([inner.status, await inner.text()]).toEqual([400, expect.stringContaining('has no field 9')]);
  });

  test('an unknown policy is refused', async () => {
    const json = await post(
      `${service}/Start`,
      'application/json',
      '{"command":{"program":"true"},"log":{"policy":99}}',
    );
    expect([json.status, await json.text()]).toEqual([400, expect.stringContaining('log.policy')]);
  });

  test('an unknown method, service version and protocol version are refused', async () => {
    expect((await post(`${service}/Rewind`, 'application/json', '{}')).status).toBe(404);
    const later = await post('/soulbox.process.v2.ProcessService/Get', 'application/json', '{}');
    expect([later.status, await later.text()]).toEqual([404, expect.stringContaining('was not found')]);
    const version = { 'connect-protocol-version': '2' };
    expect((await post(`${service}/List`, 'application/json', '{}', version)).status).toBe(400);
  });

  test('only what changes nothing can be asked for with GET, and the rules are the same', async () => {
    const get = async (method: string, message: object) =>
      await fetch(
        `${envd.baseUrl}${service}/${method}?connect=v1&encoding=json&message=${encodeURIComponent(JSON.stringify(message))}`,
      );
    const id = await start('exit 3');
    for (const method of ['Get', 'Wait']) expect((await get(method, { processId: id })).status).toBe(200);
    expect((await get('List', {})).status).toBe(200);
    for (const method of ['Forget', 'Acknowledge', 'CloseInput', 'Signal', 'Start'])
      expect((await get(method, { processId: id })).status).toBe(405);
    expect((await get('Get', { processId: id, color: 'red' })).status).toBe(400);
    await envd.init({ accessToken: 'secret' });
    expect((await get('List', {})).status).toBe(401);
    await envd.init({});
  });

  test('a bidirectional call over HTTP/1.1 is refused', async () => {
    const response = await post(`${service}/Interact`, 'application/connect+json', '');
    expect(response.status).toBe(505);
  });

  test('the access token is required', async () => {
    await envd.init({ accessToken: 'secret' });
    expect((await post(`${service}/List`, 'application/json', '{}')).status).toBe(401);
    await envd.init({});
  });
});

/** The client's side of Interact. */
function converse(first: InteractInit['request'], { streams } = clients) {
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

describe('Run', () => {
  const command = { program: 'sh', args: ['-c', 'echo begin; sleep 0.3; echo end; exit 3'] };

  test.each<ProtocolOptions>([
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: true },
    { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true },
  ])('%o: starts once, and a repetition reads the same process from its beginning', async (options) => {
    const { streams } = createClients(envd.baseUrl, options);
    const start = { id: randomUUID(), command };
    const leave = new AbortController();
    const left = streams.run({ start }, { signal: leave.signal })[Symbol.asyncIterator]();
    const first: unknown = (await left.next()).value;
    expect(first).toMatchObject({ event: { event: { case: 'attached', value: { position: 0n } } } });
    leave.abort();
    const events = await collect(streams.run({ start }));
    expect(events[0]?.value).toMatchObject({ process: { id: start.id, pid: pidOf(first) } });
    expect([textOf(events), exitOf(events)?.code]).toEqual(['begin\nend\n', 3]);
    const other = { ...start, tag: 'other' };
    await expect(collect(streams.run({ start: other }))).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test('what cannot be read is not started', async () => {
    const id = randomUUID();
    const request = { start: { id, command }, options: { keepaliveSeconds: 3601 } };
    await expect(collect(clients.streams.run(request))).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(collect(clients.streams.run({}))).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(clients.streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe('Interact', () => {
  const cat = { start: { command: { program: 'cat' }, hasInput: true }, options: { writer: 'me' } };

  test('carries start, input, its acceptance, output and end in one call', async () => {
    const { events, send, finish } = converse({ case: 'start', value: cat });
    send({ case: 'input', value: { position: 0n, data: Buffer.from('one ') } });
    send({ case: 'input', value: { position: 0n, data: Buffer.from('one two') } });
    send({ case: 'closeInput', value: {} });
    finish();
    const all = await collect(events);
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
    expect(exitOf(await collect(events))).toMatchObject({ signal: 15 });
  });

  test('a reset does not end input that was half taken, and the rest arrives in another call', async () => {
    await using proxy = await startFaultProxy(envd.port);
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
    await clients.streams.signal({ processId, signal: sigstop });

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
    expect((await clients.streams.get({ processId })).process?.input?.closed).toBe(false);

    const second = converse({ case: 'attach', value: { processId, options } });
    sendAll(second);
    await clients.streams.signal({ processId, signal: sigcont });
    expect(textOf(await collect(second.events))).toContain(createHash('sha256').update(bytes).digest('hex'));
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
    const all = await collect(events);
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
    expect((await clients.streams.get({ processId: attached })).process?.exit).toBeUndefined();
    await clients.streams.signal({ processId: attached, signal: 9 });
  });
});
