// Tests bodies, connections and clients that leave. http1.test.ts tests the format of messages.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask } from '../testing/http-client.ts';
import { echoHeaders, serveOn } from '../testing/serve-on.ts';
import type { Handler } from '../testing/serve-on.ts';
import { startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
beforeEach(async () => {
  world = await startTestWorld({ config: { portClosedRetryDelayMs: 1, headersTimeoutMs: 300 } });
});
afterEach(async () => await world[Symbol.asyncDispose]());
const serve = async (handler: Handler, port?: number) => await serveOn(world, handler, port);

describe('Expect: 100-continue', () => {
  const start = async (handler: Handler, continues: boolean): Promise<{ events: string[]; body: string }> => {
    const server = await world.serve(8080, (request, response) => handler(request, response));
    if (!continues)
      server.on('checkContinue', (_request, response: ServerResponse) => response.writeHead(413).end('no'));
    const { url, host } = world.urlOf(8080);
    const events: string[] = [];
    const outgoing = httpRequest(url, {
      method: 'POST',
      headers: { host, expect: '100-continue', 'content-length': '5' },
      agent: false,
    });
    outgoing.flushHeaders();
    outgoing.on('continue', () => {
      events.push('continue');
      outgoing.end('hello');
    });
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    events.push(String(incoming.statusCode));
    return { events, body: await text(incoming) };
  };

  test('is forwarded to the service, which accepts and receives the body', async () => {
    const result = await start((request, response) => void request.pipe(response), true);
    expect(result).toEqual({ events: ['continue', '200'], body: 'hello' });
  });

  test('ends with the final answer of a service that refuses', async () => {
    const result = await start(() => undefined, false);
    expect(result).toEqual({ events: ['413'], body: 'no' });
  });
});

describe('an answer before the end of the request body', () => {
  test('reaches a client that is still sending, and then the connection is reset', async () => {
    const { host } = await serve((_request, response) =>
      response.writeHead(413, { connection: 'close' }).end('too large'),
    );
    const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
    socket.on('error', () => undefined);
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100000000\r\n\r\n`);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const timer = setInterval(() => socket.write(Buffer.alloc(1000)), 5);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 413 /);
    await closed;
    clearInterval(timer);
  });
});

describe('a client that leaves', () => {
  test.each(['h1', 'h2'])('ends the request inside the sandbox (%s)', async (protocol) => {
    const seen: IncomingMessage[] = [];
    const { url, host } = await serve((request, response) => {
      response.write('x');
      seen.push(request);
    });
    if (protocol === 'h1') {
      const outgoing = httpRequest(url, { headers: { host }, agent: false }).end();
      outgoing.on('error', () => undefined);
      await once(outgoing, 'response');
      outgoing.destroy();
    } else {
      const { connect: connectHttp2 } = await import('node:http2');
      const session = connectHttp2(world.url);
      const stream = session.request({ ':path': '/', ':authority': host });
      await once(stream, 'response');
      session.destroy();
    }
    await expect.poll(() => seen[0]?.socket.destroyed).toBe(true);
  });

  test('breaks the upload inside the sandbox if it leaves during its upload', async () => {
    let outcome = '';
    const { host } = await serve((request) => {
      request.resume();
      request.on('error', () => (outcome = 'broken')).on('end', () => (outcome = 'complete'));
    });
    const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf`);
    await expect.poll(() => world.router.dials.length).toBe(1);
    setTimeout(() => socket.destroy(), 50);
    await expect.poll(() => outcome).toBe('broken');
  });
});

describe('connections to a sandbox', () => {
  test('are kept and reused', async () => {
    const { url, host } = await serve(echoHeaders);
    const agent = new Agent({ keepAlive: true });
    for (let count = 0; count < 5; count += 1) await ask(url, { headers: { host }, agent });
    agent.destroy();
    expect(world.router.dials.length).toBe(1);
  });

  test('are replaced without the client noticing, if the service closed them', async () => {
    let answers = 0;
    await world.serveNet(
      8080,
      createServer((socket) => {
        socket.on('error', () => undefined);
        // Answers once, then resets at the next request, like a server that closes an idle connection.
        socket.once('data', () => {
          answers += 1;
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          socket.once('data', () => socket.resetAndDestroy());
        });
      }),
    );
    const { url, host } = world.urlOf(8080);
    for (let count = 1; count <= 3; count += 1) {
      expect((await ask(url, { headers: { host } })).body).toBe('ok');
      expect(answers).toBe(count);
    }
  });

  test('are not reused for requests that must not be repeated', async () => {
    const { url, host } = await serve((request, response) => void request.pipe(response));
    await ask(url, { headers: { host } });
    await ask(url, { method: 'POST', headers: { host }, body: 'x' });
    expect(world.router.dials.length).toBe(2);
  });

  test('are not replaced if the request was sent on a fresh one', async () => {
    let requests = 0;
    const { url, host } = await serve((request) => {
      requests += 1;
      request.socket.destroy();
    });
    expect((await ask(url, { headers: { host } })).status).toBe(502);
    expect(requests).toBe(1);
  });
});

describe('large bodies', () => {
  const size = 64 * 1024 * 1024;
  const piece = randomBytes(1024 * 1024);
  const expected = createHash('sha256');
  for (let sent = 0; sent < size; sent += piece.length) expected.update(piece);
  const digest = expected.digest('hex');

  async function* pieces(): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < size; sent += piece.length) yield await Promise.resolve(piece);
  }

  test('arrive complete in both directions', async () => {
    const { Readable } = await import('node:stream');
    const { pipeline } = await import('node:stream/promises');
    const { url, host } = await serve((request, response) => {
      if (request.method === 'GET') {
        pipeline(Readable.from(pieces()), response).catch(() => undefined);
        return;
      }
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => response.end(hash.digest('hex')));
    });
    const upload = httpRequest(url, { method: 'POST', headers: { host }, agent: false });
    await pipeline(Readable.from(pieces()), upload);
    const [answer] = (await once(upload, 'response')) as [IncomingMessage];
    expect(await text(answer)).toBe(digest);

    const download = httpRequest(url, { headers: { host }, agent: false }).end();
    const [incoming] = (await once(download, 'response')) as [IncomingMessage];
    const hash = createHash('sha256');
    for await (const chunk of incoming) hash.update(chunk as Buffer);
    expect(hash.digest('hex')).toBe(digest);
  });

  test('to a client that does not read wait in the service, not in memory', async () => {
    let written = 0;
    const { url, host } = await serve((_request, response) => {
      const push = (): void => {
        while (written < 1024 * 1024 * 1024) {
          written += piece.length;
          if (!response.write(piece)) {
            response.once('drain', push);
            return;
          }
        }
      };
      push();
    });
    const { connect: connectHttp2 } = await import('node:http2');
    const outgoing = httpRequest(url, { headers: { host }, agent: false }).end();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    incoming.pause();
    const session = connectHttp2(world.url);
    const stream = session.request({ ':path': '/', ':authority': host });
    stream.on('error', () => undefined);
    await once(stream, 'response');
    let before = -1;
    // Wait until the kernel's buffers on the way are full.
    await expect.poll(() => before === (before = written), { timeout: 10_000, interval: 300 }).toBe(true);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    outgoing.on('error', () => undefined).destroy();
    session.destroy();
  });

  test('to a service that does not read wait in the client', async () => {
    const { host } = await serve((request) => request.pause());
    const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
    socket.on('error', () => undefined);
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000000\r\n\r\n`);
    let written = 0;
    const push = (): void => {
      do written += piece.length;
      while (socket.write(piece));
      socket.once('drain', push);
    };
    push();
    let before = -1;
    await expect.poll(() => before === (before = written), { timeout: 10_000, interval: 300 }).toBe(true);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    socket.destroy();
  });
});
