import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, fetch } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
let agents: Agent[];

beforeEach(async () => {
  agents = [];
  world = await startTestWorld();
  await world.serve(49983, (request, response) => {
    if (request.url === '/health') response.writeHead(204).end();
    else if (request.url === '/length') response.writeHead(200, { 'content-length': '1000' }).write('first');
    else if (request.url === '/stream') response.write('first');
  });
});
afterEach(async () => {
  for (const agent of agents) await agent.destroy();
  await world[Symbol.asyncDispose]();
});

/** Fetches like the official client: undici, with HTTP/2 if TLS offers it. */
async function official(secure: boolean, path: string): Promise<Awaited<ReturnType<typeof fetch>>> {
  const ca = await readFile(world.gateway.caFile ?? '', 'utf8');
  const agent = new Agent({ allowH2: true, connect: { ca } });
  agents.push(agent);
  const origin = secure
    ? `https://localhost:${String(world.gateway.tlsPort)}`
    : `http://localhost:${world.gateway.port}`;
  return await fetch(`${origin}${path}`, {
    dispatcher: agent,
    headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': '49983' },
  });
}

describe.each([
  ['HTTP/1.1', false],
  ['HTTP/2 over TLS', true],
])('a kill, seen by the official transport over %s', (_name, secure) => {
  test.each(['/stream', '/length'])('ends an answer in progress with an error: %s', async (path) => {
    const answer = await official(secure, path);
    const reader = answer.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value as Uint8Array).toString()).toBe('first');
    const next = reader?.read();
    world.router.kill(sandboxId);
    await expect(next).rejects.toThrow();
    const probe = await official(secure, '/health');
    expect(probe.status).toBe(502);
    expect(await probe.json()).toEqual({ sandboxId, message: 'The sandbox was not found', code: 502 });
  });

  test('answers 502 to a request without an answer yet', async () => {
    const asked = official(secure, '/silent');
    await expect.poll(() => world.router.dials.length).toBe(1);
    await delay(20);
    world.router.kill(sandboxId);
    const answer = await asked;
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ message: 'The sandbox was not found' });
  });
});

/** A Connect frame. */
function frame(text: string, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}
const farewell = frame(
  '{"error":{"code":"unavailable","message":"the sandbox was paused, killed or reached its end of life"}}',
  2,
);

describe.each([
  ['killed', () => world.router.kill(sandboxId)],
  ['paused', () => world.router.pause(sandboxId)],
])('when the sandbox is %s, a Connect stream', (_what, go) => {
  /** The results of an answer that begins with `head` and `first`, over both protocols. */
  const bodies = async (head: Record<string, string>, first: Buffer): Promise<(Buffer | Error)[]> => {
    await world.serve(49983, (_request, response) => {
      response.writeHead(200, head).flushHeaders();
      if (first.length > 0) response.write(first);
    });
    const read = [false, true].map(async (secure) => Buffer.from(await (await official(secure, '/x')).arrayBuffer()));
    await expect.poll(() => world.router.dials.length).toBe(2);
    await delay(100);
    go();
    return (await Promise.allSettled(read)).map((one) =>
      one.status === 'fulfilled' ? one.value : new Error('broken off', { cause: one.reason }),
    );
  };

  test.each(['application/connect+json', 'application/connect+proto'])(
    'ends with a message that reports it: %s',
    async (type) => {
      const whole = Buffer.concat([frame('{"a":1}'), farewell]);
      expect(await bodies({ 'content-type': type }, frame('{"a":1}'))).toEqual([whole, whole]);
    },
  );

  test('ends with it before its first message', async () => {
    expect(await bodies({ 'content-type': 'application/connect+json' }, Buffer.alloc(0))).toEqual([farewell, farewell]);
  });

  test('ends with it in the middle of a message, which is omitted', async () => {
    const first = Buffer.concat([frame('{"a":1}'), frame('{"b":2}').subarray(0, 8)]);
    const whole = Buffer.concat([frame('{"a":1}'), farewell]);
    expect(await bodies({ 'content-type': 'application/connect+json' }, first)).toEqual([whole, whole]);
  });

  test.each([
    ['in a message longer than those of ours', {}, frame('x'.repeat(500_000)).subarray(0, 490_000)],
    ['that is compressed as a whole', { 'content-encoding': 'x-own' }, frame('{}')],
    ['that has announced its length', { 'content-length': '1000' }, frame('{}')],
  ])('is aborted %s', async (_name, head, first) => {
    const got = await bodies({ 'content-type': 'application/connect+json', ...head }, first);
    expect(got).toEqual([expect.any(Error), expect.any(Error)]);
  });
});

test('a client that reads nothing does not keep the stream of a killed sandbox open', async () => {
  await world.serve(49983, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/connect+json' });
    const write = (): void => {
      while (response.write(frame('x'.repeat(60_000))));
    };
    response.on('drain', write);
    write();
  });
  const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
  socket.on('error', () => undefined);
  socket.write(`GET / HTTP/1.1\r\nHost: 49983-${sandboxId}.x\r\n\r\n`);
  socket.pause();
  await expect.poll(() => world.router.visits).toEqual([sandboxId]);
  await delay(300);
  world.router.kill(sandboxId);
  await expect.poll(() => world.router.visits, { timeout: 5000 }).toEqual([]);
  socket.destroy();
});

test('a stream of another port is aborted, whatever its content type', async () => {
  await world.serve(8080, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/connect+json' }).write(frame('{}'));
  });
  const { url, host } = world.urlOf(8080);
  const asked = ask(url, { headers: { host } });
  await expect.poll(() => world.router.dials.length).toBe(1);
  await delay(100);
  world.router.kill(sandboxId);
  await expect(asked).rejects.toThrow();
});

test('a gRPC stream ends with its status', async () => {
  const { connect: connectHttp2, createServer } = await import('node:http2');
  const server = createServer().on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.write('begun');
  });
  await world.serveNet(49983, server);
  const session = connectHttp2(world.url);
  const stream = session.request({
    ...{ ':path': '/process.Process/Start', ':method': 'POST', ':authority': `49983-${sandboxId}.x` },
    'content-type': 'application/grpc',
  });
  await once(stream, 'data');
  stream.resume();
  const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
  world.router.kill(sandboxId);
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '14' });
  session.destroy();
});

test('on a shared HTTP/2 connection only the streams of the killed sandbox end', async () => {
  const { connect: connectHttp2 } = await import('node:http2');
  world.router.add('iother');
  await world.serve(49983, (_request, response) => setInterval(() => response.write('tick'), 50).unref(), {
    sandboxId: 'iother',
  });
  const session = connectHttp2(world.url);
  const killed = session.request({ ':path': '/stream', ':authority': `49983-${sandboxId}.x` });
  const kept = session.request({ ':path': '/', ':authority': '49983-iother.x' });
  await once(killed, 'data');
  await once(kept, 'data');
  const failed = once(killed, 'error') as Promise<[Error]>;
  killed.resume();
  world.router.kill(sandboxId);
  expect((await failed)[0].message).toContain('INTERNAL_ERROR');
  await once(kept, 'data');
  expect(session.closed).toBe(false);
  session.destroy();
});

test('an HTTP/1.1 client receives a reset, not a close', async () => {
  const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
  socket.write(`GET /stream HTTP/1.1\r\nHost: 49983-${sandboxId}.x\r\n\r\n`);
  await once(socket, 'data');
  const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
  socket.resume();
  world.router.kill(sandboxId);
  expect((await failed)[0].code).toBe('ECONNRESET');
});

test('a sandbox that is resumed under its id gets new connections', async () => {
  const { host } = world.urlOf(49983, '/health');
  expect((await ask(`${world.url}/health`, { headers: { host } })).status).toBe(204);
  world.router.kill(sandboxId);
  world.router.add(sandboxId);
  await world.serve(49983, (_request, response) => response.end('resumed'));
  expect((await ask(`${world.url}/health`, { headers: { host } })).body).toBe('resumed');
});

test('a connection that is dialed while the sandbox ends is closed', async () => {
  const { router } = world;
  const dial = router.dial.bind(router);
  let dialed: Awaited<ReturnType<typeof dial>> | undefined;
  router.dial = async (id, port) => {
    dialed = await dial(id, port);
    await delay(100);
    return dialed;
  };
  const { host } = world.urlOf(49983);
  const asked = ask(`${world.url}/stream`, { headers: { host } });
  await expect.poll(() => dialed).toBeDefined();
  router.kill(sandboxId);
  expect((await asked).status).toBe(502);
  await expect.poll(() => dialed?.destroyed).toBe(true);
});
