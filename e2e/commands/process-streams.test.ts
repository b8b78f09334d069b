/** @module-tag violation */
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { Client, Interceptor } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { removeTree } from '@soulbox/base';
import { LogPolicy, Origin, ProcessService } from '@soulbox/contract/process-v1';
import { listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { connectionOf } from '../harness/drill.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';
import { fewKinds, manyKinds, openOutputWorld, rounds } from './output-rounds.ts';

/**
 * The long form of the test of rounds: `SOULBOX_TEST_RUNS=300 npx vitest run --project e2e
 * e2e/commands/process-streams.test.ts -t 'every byte'`, for at most SOULBOX_TEST_SECONDS.
 */
const longRuns = process.env['SOULBOX_TEST_RUNS'];
const longSeconds = Number(process.env['SOULBOX_TEST_SECONDS'] ?? 3000);

// docs/protocol.md promises what these streams survive.
const instance = ownInstance();
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ instance, poolSize: 1, environment: { SOULBOX_ISOLATION: shared.isolation } });
}, 120_000);
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

type Protocol = 'connect over HTTP/1.1' | 'connect over HTTP/2' | 'grpc';
const protocols: readonly Protocol[] = ['connect over HTTP/1.1', 'connect over HTTP/2', 'grpc'];

/** A client of the sandbox's envd, through the gateway. */
function streamsOf(sandbox: Sandbox, protocol: Protocol): Client<typeof ProcessService> {
  const route: Interceptor = (next) => async (request) => {
    request.header.set('e2b-sandbox-id', sandbox.sandboxId);
    request.header.set('e2b-sandbox-port', '49983');
    request.header.set('x-access-token', (sandbox as unknown as { envdAccessToken: string }).envdAccessToken);
    return await next(request);
  };
  const common = { baseUrl: `http://127.0.0.1:${server.port}`, interceptors: [route] };
  const transport =
    protocol === 'grpc'
      ? createGrpcTransport(common)
      : createConnectTransport({ ...common, httpVersion: protocol.endsWith('1.1') ? '1.1' : '2' });
  return createClient(ProcessService, transport);
}

/** What one reader has got. */
interface Reading {
  text: string;
  position: bigint;
  /** How often it attached. */
  attached: number;
  readonly done: Promise<void>;
}

/** Reads until the process ends. Attaches again from its position whenever the stream breaks. */
function readOn(client: Client<typeof ProcessService>, processId: string, giveUpAfterMs = 60_000): Reading {
  const giveUpAt = Date.now() + giveUpAfterMs;
  const reading = { text: '', position: 0n, attached: 0, done: Promise.resolve() };
  const attach = async (): Promise<boolean> => {
    const from = { from: { case: 'position' as const, value: reading.position } };
    for await (const { event } of client.attach({ processId, from })) {
      const inner = event?.event;
      if (inner?.case === 'attached') reading.attached += 1;
      if (inner?.case === 'gap') throw new RangeError('Output is missing.');
      if (inner?.case === 'ended') return true;
      if (inner?.case !== 'output') continue;
      if (inner.value.position !== reading.position) throw new RangeError('Output has a wrong position.');
      reading.text += Buffer.from(inner.value.data).toString();
      reading.position += BigInt(inner.value.data.length);
    }
    return false;
  };
  reading.done = (async () => {
    for (;;) {
      try {
        if (await attach()) return;
      } catch (error) {
        if (error instanceof RangeError || Date.now() > giveUpAt) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  })();
  reading.done.catch(() => undefined);
  return reading;
}

/** Prints a number every 10 ms until the file exists. */
const counting = 'i=0; until [ -e /tmp/stop ]; do i=$((i+1)); echo $i; sleep 0.01; done';

function numbers(text: string): number[] {
  return text.split('\n').filter(Boolean).map(Number);
}
const isGapless = (text: string): boolean => numbers(text).every((number, index) => number === index + 1);

async function startCounting(sandbox: Sandbox): Promise<string> {
  const { process } = await streamsOf(sandbox, 'grpc').start({
    command: { program: '/bin/bash', args: ['-c', counting] },
    log: { policy: LogPolicy.BLOCK },
  });
  return process?.id ?? '';
}

async function progress(readings: readonly Reading[]): Promise<void> {
  const before = readings.map((reading) => reading.position);
  await until('further output', () => readings.every((reading, n) => reading.position > (before[n] ?? 0n)), 30_000);
}

test('readers lose nothing over pause, resume, a restarted gateway and kill -9 of the server', async () => {
  const sandbox = await Sandbox.create('base', { ...connectionOf(server), timeoutMs: 300_000 });
  const id = await startCounting(sandbox);
  const readings = protocols.map((protocol) => readOn(streamsOf(sandbox, protocol), id));
  await progress(readings);

  await sandbox.pause();
  await Sandbox.connect(sandbox.sandboxId, connectionOf(server));
  await progress(readings);

  await server.kill9();
  await server.restart();
  await progress(readings);

  await sandbox.files.write('/tmp/stop', '');
  await Promise.all(readings.map((reading) => reading.done));
  for (const reading of readings) {
    expect(isGapless(reading.text)).toBe(true);
    expect(reading.text).toBe(readings[0]?.text);
    expect(reading.attached).toBeGreaterThan(1);
  }
  const { process } = await streamsOf(sandbox, 'grpc').get({ processId: id });
  expect(process?.exit).toMatchObject({ code: 0 });
  await sandbox.kill();
});

test(
  'every byte arrives once over cuts, pauses, forks, and kills of the gateway and of the server',
  async () => {
    await using world = await openOutputWorld(server);
    let [played, bytes] = [0, 0];
    const isLong = longRuns !== undefined;
    const property = fc.asyncProperty(rounds(isLong ? manyKinds : fewKinds), async (round) => {
      bytes += await world.play(round);
      played += 1;
    });
    const limits = { interruptAfterTimeLimit: longSeconds * 1000, markInterruptAsFailure: false };
    await fc.assert(property, { numRuns: Number(longRuns ?? 1), endOnFailure: true, ...limits });
    expect([played, bytes].every((count) => count > 0)).toBe(true);
    if (isLong) console.log(`${played} rounds, ${bytes} bytes`);
  },
  longRuns === undefined ? 90_000 : 3_600_000,
);

test('a conversation with a terminal goes through the gateway, and its end is known as such', async () => {
  const sandbox = await Sandbox.create('base', connectionOf(server));
  for (const protocol of ['connect over HTTP/2', 'grpc'] as const) {
    let send = (_data: string): void => undefined;
    async function* requests() {
      const command = { program: '/bin/bash', args: ['--norc', '-i'], env: { PS1: '', TERM: 'dumb' } };
      const start = { start: { command, terminal: { cols: 80, rows: 24 } } };
      yield { request: { case: 'start' as const, value: start } };
      for (;;) {
        const data = await new Promise<string>((resolve) => (send = resolve));
        yield { request: { case: 'input' as const, value: { data: Buffer.from(data) } } };
      }
    }
    let text = '';
    const converse = async (): Promise<void> => {
      for await (const { event } of streamsOf(sandbox, protocol).interact(requests())) {
        if (event?.event.case === 'attached') send('stty size\n');
        if (event?.event.case !== 'output') continue;
        text += Buffer.from(event.event.value.data).toString();
        if (text.includes('24 80') && protocol === 'grpc') await sandbox.kill();
        else if (text.includes('24 80')) send('exit\n');
      }
    };
    const outcome = await converse().catch((error: unknown) => ConnectError.from(error).code);
    expect([text.includes('24 80'), outcome]).toEqual([true, protocol === 'grpc' ? Code.Unavailable : undefined]);
  }
});

test("others can attach to what an official client has started, and the host's rehearsal is not shown", async () => {
  const sandbox = await Sandbox.create('base', connectionOf(server));
  const client = streamsOf(sandbox, 'connect over HTTP/1.1');
  expect((await client.list({})).processes).toEqual([]);
  const handle = await sandbox.commands.run('echo started; sleep 1; echo ended', { background: true });
  const [found] = (await client.list({})).processes;
  expect(found).toMatchObject({ pid: handle.pid, origin: Origin.E2B });
  const reading = readOn(client, found?.id ?? '');
  expect((await handle.wait()).stdout).toBe('started\nended\n');
  await reading.done;
  expect(reading.text).toBe('started\nended\n');
  await sandbox.kill();
});
