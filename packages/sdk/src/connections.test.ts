import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { WatchDirResponseSchema } from '@soulbox/contract/filesystem';
import type { WatchDirResponse } from '@soulbox/contract/filesystem';
import { OutputStream, ProcessService } from '@soulbox/contract/process-v1';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ConnectionEvent } from './events.ts';
import { Sandbox } from './sandboxes/handle.ts';
import { templates } from './team/templates.ts';
import { startServer } from './testing/start-server.ts';

beforeEach(() => {
  for (const name of ['E2B_API_KEY', 'E2B_API_URL', 'E2B_DOMAIN', 'E2B_SANDBOX_URL']) vi.stubEnv(name, '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const deadMs = 40_000;
const shortMs = 300;

/** The time after which a connection counts as dead. Nothing else is that long. */
function shortenSilence(): void {
  const later = globalThis.setTimeout;
  const shorten = (run: () => void, ms?: number): unknown => later(run, ms === deadMs ? shortMs : ms);
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(shorten as typeof setTimeout);
}

function handleOf(url: string, options: object = {}): { readonly sandbox: Sandbox; readonly seen: ConnectionEvent[] } {
  const seen: ConnectionEvent[] = [];
  const onEvent = (event: ConnectionEvent): void => void seen.push(event);
  return { sandbox: new Sandbox({ sandboxId: 'i1', apiUrl: url, apiKey: 'key', onEvent, ...options }), seen };
}

test('a call on a connection that has become a black hole is made again on another', async () => {
  shortenSilence();
  await using server = await startServer(() => ({ status: 200, body: { series: [], rejected: 0, faults: [] } }));
  await using proxy = await startFaultProxy(Number(new URL(server.url).port));
  proxy.setFault((n) => ({ kind: n === 0 ? 'silence' : 'none' }));
  const { sandbox, seen } = handleOf(`http://127.0.0.1:${proxy.port}`);
  expect(await sandbox.customMetrics({ name: 'a' })).toEqual({ series: [], rejected: 0, faults: [] });
  expect(server.seen.map(({ line }) => line)).toEqual(['GET /sandboxes/i1/metrics/custom?name=a']);
  expect(seen).toMatchObject([{ type: 'retry', attempt: 1, error: { name: 'SoulBoxError', reason: 'timeout' } }]);
});

test('an output stream whose connection has become a black hole continues where it was', async () => {
  shortenSilence();
  const log = Buffer.from('abcd');
  const asked: bigint[] = [];
  const routes = (router: ConnectRouter): void => {
    router.service(ProcessService, {
      async *attach({ from }) {
        const at = from?.from.case === 'position' ? Number(from.from.value) : 0;
        asked.push(BigInt(at));
        yield { event: { event: { case: 'attached', value: { position: BigInt(at) } } } };
        const output = { position: BigInt(at), streamPosition: BigInt(at), stream: OutputStream.STDOUT };
        yield { event: { event: { case: 'output', value: { ...output, data: log.subarray(at, at + 2) } } } };
        if (at === 0) await new Promise(() => undefined);
        yield { event: { event: { case: 'ended', value: { position: 4n, exit: { code: 0 } } } } };
      },
    });
  };
  const server = createServer(connectNodeAdapter({ routes })).listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using proxy = await startFaultProxy((server.address() as AddressInfo).port);
  const { sandbox, seen } = handleOf(`http://127.0.0.1:${proxy.port}`);
  let text = '';
  for await (const event of sandbox.process.attach('p')) {
    if (event.type !== 'output') continue;
    text += Buffer.from(event.data).toString();
    if (text === 'ab') proxy.stallAll();
  }
  expect([text, asked]).toEqual(['abcd', [0n, 2n]]);
  expect(seen).toMatchObject([{ type: 'resume', error: { reason: 'timeout' } }]);
  server.closeAllConnections();
  server.close();
});

test('a watch whose connection has become a black hole ends with an error', async () => {
  shortenSilence();
  const event = { case: 'start', value: {} } as WatchDirResponse['event'];
  const content = toBinary(WatchDirResponseSchema, create(WatchDirResponseSchema, { event }));
  const body = (async function* () {
    yield Buffer.from([0, 0, 0, 0, content.length, ...content]);
    await new Promise(() => undefined);
  })();
  await using server = await startServer(() => ({
    ...{ status: 200, body, headers: { 'content-type': 'application/connect+proto' } },
  }));
  const error = await new Promise((resolve, reject) => {
    const options = { timeoutMs: 0, onExit: resolve };
    handleOf(server.url)
      .sandbox.files.watchDir('.', () => undefined, options)
      .catch(reject);
  });
  expect(error).toMatchObject({ name: 'SoulBoxError', code: 'unavailable', reason: 'unreachable' });
});

test('an outage of the server is noticed for all handles of it, and a paused sandbox is no outage', async () => {
  const answers = { paused: { status: 502, headers: { 'x-soulbox-reason': 'sandbox_unreachable' } } };
  let answer: { status: number; headers?: Record<string, string> } = answers.paused;
  await using server = await startServer(() => answer);
  const options = { retries: 0, apiKey: undefined };
  const [one, two] = [handleOf(server.url, options), handleOf(server.url, options)];
  const list = async ({ sandbox }: typeof one): Promise<unknown> =>
    await sandbox.files.list('.').catch((error: unknown) => error);
  for (let n = 0; n < 12; n++) expect(await list(one)).toMatchObject({ code: 'unavailable' });
  expect([one.seen, two.seen]).toEqual([[], []]);
  answer = { status: 503 };
  for (let n = 0; n < 10; n++) await list(one);
  expect(await list(two)).toMatchObject({ reason: 'circuit_open', retryable: true });
  expect(one.seen).toMatchObject([{ type: 'breaker', state: 'open' }]);
  expect(server.seen).toHaveLength(22);
  answer = { status: 404 };
  await vi.waitFor(
    async () => expect(await list(two)).toMatchObject({ code: expect.not.stringMatching('unavail') as string }),
    5000,
  );
  expect(two.seen).toMatchObject([
    { type: 'breaker', state: 'half-open' },
    { type: 'breaker', state: 'closed' },
  ]);
});

test('the signal ends the wait for a build, and the import of a source that never ends', async () => {
  const build = { templateID: 't', buildID: 'b', status: 'building', logEntries: [] };
  await using server = await startServer(() => ({ status: 200, body: build }));
  const abort = new AbortController();
  const options = { apiUrl: server.url, apiKey: 'key', signal: abort.signal };
  const building = templates.build({ name: 'n' }, options).catch((error: unknown) => error);
  const source = (async function* () {
    yield Buffer.from('x');
    await new Promise(() => undefined);
  })();
  const importing = Sandbox.import(source, options).catch((error: unknown) => error);
  await vi.waitFor(() => expect(server.seen.length).toBeGreaterThan(2));
  abort.abort(new Error('of the caller'));
  for (const error of [await building, await importing])
    expect(error).toMatchObject({ name: 'SoulBoxError', code: 'canceled', reason: 'aborted' });
});

test('a response of a program is that of the global fetch, and counts as in progress until it is read', async () => {
  await using server = await startServer(() => ({ status: 201, body: 'hello', headers: { 'x-a': 'b' } }));
  const { sandbox } = handleOf(server.url);
  const response = await sandbox.fetch(8080, '/p');
  expect([response.status, response.headers.get('x-a'), response.url]).toEqual([201, 'b', `${server.url}/p`]);
  expect(await response.text()).toBe('hello');
  const ended = sandbox.fetch(8080, '/p', { signal: AbortSignal.abort(new Error('of the caller')) });
  await expect(ended).rejects.toMatchObject({ code: 'canceled', reason: 'aborted' });
});
