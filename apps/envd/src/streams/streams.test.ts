/** @module-tag violation */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { Code } from '@connectrpc/connect';
import {
  AttachRequestSchema,
  ExitCause,
  GetRequestSchema,
  LogPolicy,
  Origin,
  OutputStream,
  StartRequestSchema,
} from '@soulbox/contract/process-v1';
import { describe, expect, test } from 'vitest';
import type { ProtocolOptions } from '../testing/clients.ts';
import { asUser, collect, createClients, runShell, startInBackground } from '../testing/clients.ts';
import { collectEvents, exitOf, textOf } from '../testing/process-events.ts';
import type { Event, StartInit } from '../testing/process-events.ts';
import { http2, useStreams } from '../testing/use-streams.ts';

const { envd, clients, start, attach } = useStreams();
const at = (position: number) => ({ from: { from: { case: 'position' as const, value: BigInt(position) } } });
const pidOf = (response: unknown): unknown =>
  (response as { event: { event: { value: { process: { pid: number } } } } }).event.event.value.process.pid;

describe('output', () => {
  test.each<ProtocolOptions>([
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: false },
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: true },
    { protocol: 'connect', httpVersion: '2', useBinaryFormat: true },
    { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true },
    { protocol: 'grpc-web', httpVersion: '1.1', useBinaryFormat: true },
  ])('%o: everything from the beginning, with positions, and the exit', async (options) => {
    const { streams } = createClients(envd().baseUrl, options);
    const id = await start('echo out; sleep 0.1; echo error >&2; sleep 0.1; echo more; exit 3');
    const events = await collectEvents(streams.attach({ processId: id }));
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
    const response = await fetch(`${envd().baseUrl}/soulbox.process.v1.ProcessService/Attach`, {
      method: 'POST',
      headers: { 'content-type': 'application/connect+proto', 'connect-accept-encoding': 'gzip' },
      body: Buffer.concat([head, request]),
    });
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(100_000);
  });

  test('a position beyond the end is out of range, and the message names the end', async () => {
    const id = await start('echo 12345');
    await clients().streams.wait({ processId: id });
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
        const { streams } = createClients(envd().baseUrl, http2);
        const iterator = streams.attach({ processId: id }, { signal: leave.signal })[Symbol.asyncIterator]();
        await iterator.next();
        return { leave, iterator };
      }),
    );
    await clients().streams.write({ processId: id, input: { data: Buffer.from('\n') } });
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
    for await (const { event } of clients().streams.attach({ processId: id })) {
      const inner = event?.event;
      expect(inner?.case).not.toBe('gap');
      if (inner?.case !== 'output') continue;
      bytes += inner.value.data.length;
      const position = inner.value.position + BigInt(inner.value.data.length);
      await clients().streams.acknowledge({ processId: id, position });
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
    await clients().streams.wait({ processId: id });
    const line = 'ls /var/lib/soulbox/process-logs; cat /var/lib/soulbox/process-logs/*';
    const { stdout, stderr } = await runShell(clients().process, line);
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
    const { pid, disconnect } = await startInBackground(clients().process, {
      process: { cmd: '/bin/bash', args: ['-c', 'echo started; sleep 0.3; echo ended'] },
      tag: 'agent',
    });
    disconnect();
    const { processes } = await clients().streams.list({});
    const found = processes.find((process) => process.pid === pid);
    expect(found).toMatchObject({ tag: 'agent', origin: Origin.E2B, command: { program: '/bin/bash' }, user: 'user' });
    expect(textOf(await attach(found?.id ?? ''))).toBe('started\nended\n');
  });

  test('have the same log as those of this protocol, unless they ask for less', async () => {
    const command = { process: { cmd: '/bin/bash', args: ['-c', 'seq 600000; sleep 1'] } };
    const whole = await collect(clients().process.start({ ...command, tag: 'whole' }));
    const inMemory = { headers: { 'x-soulbox-process-log': 'memory' } };
    await collect(clients().process.start({ ...command, tag: 'small' }, inMemory));
    const { processes } = await clients().streams.list({});
    const idOf = (tag: string): string => processes.find((process) => process.tag === tag)?.id ?? '';
    expect(whole.stdout).toHaveLength(4_088_895);
    expect(textOf(await attach(idOf('whole')))).toBe(whole.stdout);
    expect(textOf(await attach(idOf('small'))).length).toBeLessThan(600 * 1024);
    const unknown = { headers: { 'x-soulbox-process-log': 'tape' } };
    await expect(collect(clients().process.start(command, unknown))).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
  });

  test('get all of their output in their own stream, however small the log is', async () => {
    const line = 'head -c 2000000 /dev/zero | wc -c >&2; head -c 2000000 /dev/zero';
    const { stdout, stderr } = await runShell(clients().process, line);
    expect([stdout.length, stderr]).toEqual([2_000_000, '2000000\n']);
  });

  test('ended ones are forgotten in a copy and at a new start, but those of this protocol are not in a copy', async () => {
    await runShell(clients().process, 'echo of the build');
    const id = await start('echo mine');
    await clients().streams.wait({ processId: id });
    await envd().resumed({ sandboxId: 'x', generation: 'y', isCopy: true });
    const { processes } = await clients().streams.list({});
    expect(processes.filter((process) => process.exit && process.origin === Origin.E2B)).toEqual([]);
    expect(textOf(await attach(id))).toBe('mine\n');
    await envd().init({});
    await expect(attach(id)).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe('a process', () => {
  test('is started once, however often the request is repeated', async () => {
    const id = randomUUID();
    const request = { id, command: { program: 'sh', args: ['-c', 'echo $A$B'], env: { A: '1', B: '2' } } };
    const first = await clients().streams.start(request);
    const repeated = { ...request, command: { ...request.command, env: { B: '2', A: '1' } } };
    expect((await clients().streams.start(repeated)).process?.pid).toBe(first.process?.pid);
    expect(textOf(await attach(id))).toBe('12\n');
    await expect(start('true', { id })).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test('keeps its exit until it is forgotten', async () => {
    const id = await start('sleep 0.2; exit 4');
    await expect(clients().streams.forget({ processId: id })).rejects.toMatchObject({ code: Code.FailedPrecondition });
    expect((await clients().streams.wait({ processId: id, maxWaitMs: 1 })).process?.exit).toBeUndefined();
    expect((await clients().streams.wait({ processId: id })).process?.exit).toMatchObject({ code: 4 });
    expect((await clients().streams.get({ processId: id })).process?.exit).toMatchObject({ code: 4 });
    await clients().streams.forget({ processId: id });
    await clients().streams.forget({ processId: id });
    await expect(clients().streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('can be forgotten later, for clients that are still reading', async () => {
    const id = await start('exit 4');
    await clients().streams.wait({ processId: id });
    await expect(clients().streams.forget({ processId: id, afterSeconds: 601 })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
    await clients().streams.forget({ processId: id, afterSeconds: 600 });
    await clients().streams.forget({ processId: id, afterSeconds: 1 });
    expect((await clients().streams.get({ processId: id })).process?.exit).toMatchObject({ code: 4 });
    await sleep(1300);
    await expect(clients().streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('keeps its exit for the requested time', async () => {
    const id = await start('exit 4', { keepSeconds: 1 });
    await clients().streams.wait({ processId: id });
    await sleep(1300);
    await expect(clients().streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('is killed at its deadline, not at that of a call', async () => {
    const killed = await start('sleep 60', { deadlineMs: 300n });
    expect(exitOf(await attach(killed))).toMatchObject({ signal: 9, cause: ExitCause.DEADLINE });
    const survivor = await start('sleep 60');
    const call = collectEvents(clients().streams.attach({ processId: survivor }, { timeoutMs: 200 }));
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect((await clients().streams.get({ processId: survivor })).process?.exit).toBeUndefined();
    await clients().streams.signal({ processId: survivor, signal: 9 });
  });

  test('runs as the requested user', async () => {
    expect(textOf(await attach(await start('id -un', { user: 'root' })))).toBe('root\n');
    const request = { command: { program: 'id', args: ['-un'] } };
    const { process } = await clients().streams.start(request, asUser('root'));
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

describe('Run', () => {
  const command = { program: 'sh', args: ['-c', 'echo begin; sleep 0.3; echo end; exit 3'] };

  test.each<ProtocolOptions>([
    { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: true },
    { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true },
  ])('%o: starts once, and a repetition reads the same process from its beginning', async (options) => {
    const { streams } = createClients(envd().baseUrl, options);
    const start = { id: randomUUID(), command };
    const leave = new AbortController();
    const left = streams.run({ start }, { signal: leave.signal })[Symbol.asyncIterator]();
    const first: unknown = (await left.next()).value;
    expect(first).toMatchObject({ event: { event: { case: 'attached', value: { position: 0n } } } });
    leave.abort();
    const events = await collectEvents(streams.run({ start }));
    expect(events[0]?.value).toMatchObject({ process: { id: start.id, pid: pidOf(first) } });
    expect([textOf(events), exitOf(events)?.code]).toEqual(['begin\nend\n', 3]);
    const other = { ...start, tag: 'other' };
    await expect(collectEvents(streams.run({ start: other }))).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test('what cannot be read is not started', async () => {
    const id = randomUUID();
    const request = { start: { id, command }, options: { keepaliveSeconds: 3601 } };
    await expect(collectEvents(clients().streams.run(request))).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(collectEvents(clients().streams.run({}))).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(clients().streams.get({ processId: id })).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe('what this version does not know', () => {
  const post = async (path: string, type: string, body: BodyInit, headers: Record<string, string> = {}) =>
    await fetch(`${envd().baseUrl}${path}`, { method: 'POST', headers: { 'content-type': type, ...headers }, body });
  const service = '/soulbox.process.v1.ProcessService';

  test('an unknown field is refused in both forms, and in the depth', async () => {
    const json = await post(`${service}/Get`, 'application/json', '{"processId":"x","color":"red"}');
    expect([json.status, await json.text()]).toEqual([400, expect.stringContaining('color')]);
    const field77 = Buffer.from([0xe8, 0x04, 0x01]);
    const message = Buffer.concat([toBinary(GetRequestSchema, create(GetRequestSchema, { processId: 'x' })), field77]);
    const binary = await post(`${service}/Get`, 'application/proto', message);
    expect([binary.status, await binary.text()]).toEqual([400, expect.stringContaining('has no field 77')]);
    const nested = create(StartRequestSchema, { command: { program: 'true' } });
    if (nested.command) nested.command.$unknown = [{ no: 9, wireType: WireType.Varint, data: Buffer.from([1]) }];
    const inner = await post(
      `${service}/Start`,
      'application/proto',
      Buffer.from(toBinary(StartRequestSchema, nested)),
    );
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
        `${envd().baseUrl}${service}/${method}?connect=v1&encoding=json&message=${encodeURIComponent(JSON.stringify(message))}`,
      );
    const id = await start('exit 3');
    for (const method of ['Get', 'Wait']) expect((await get(method, { processId: id })).status).toBe(200);
    expect((await get('List', {})).status).toBe(200);
    for (const method of ['Forget', 'Acknowledge', 'CloseInput', 'Signal', 'Start'])
      expect((await get(method, { processId: id })).status).toBe(405);
    expect((await get('Get', { processId: id, color: 'red' })).status).toBe(400);
    await envd().init({ accessToken: 'secret' });
    expect((await get('List', {})).status).toBe(401);
    await envd().init({});
  });

  test('a bidirectional call over HTTP/1.1 is refused', async () => {
    const response = await post(`${service}/Interact`, 'application/connect+json', '');
    expect(response.status).toBe(505);
  });

  test('the access token is required', async () => {
    await envd().init({ accessToken: 'secret' });
    expect((await post(`${service}/List`, 'application/json', '{}')).status).toBe(401);
    await envd().init({});
  });
});
