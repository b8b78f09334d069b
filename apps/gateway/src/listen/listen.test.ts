import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ask, askHttp2, askRaw } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const host = `8080-${sandboxId}.soulbox.localhost`;

const closedAfter = async (socket: Socket): Promise<number> => {
  const startedAt = performance.now();
  socket.on('error', () => undefined).resume();
  await new Promise((resolve) => socket.once('close', resolve));
  return performance.now() - startedAt;
};

describe('a client that does not send a request', () => {
  test.each([
    ['nothing', []],
    ['half a method', ['G']],
    ['the start of the HTTP/2 preface', ['P', 'R']],
    ['half a head, byte by byte', Array.from('GET / HTTP/1.1\r\nHost: '.repeat(20))],
    ['the HTTP/2 preface and nothing more', [preface.toString()]],
    [
      'the HTTP/2 preface and then noise, byte by byte',
      [preface.toString(), ...Array.from({ length: 400 }, () => '\0')],
    ],
  ])('but %s is disconnected', async (_what, pieces) => {
    await using world = await startTestWorld({ config: { headersTimeoutMs: 300 } });
    const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
    const closed = closedAfter(socket);
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(Buffer.from(piece, 'latin1'));
        await delay(20);
      }
    };
    void send();
    expect(await closed).toBeLessThan(3000);
    expect((await ask(`${world.url}/health`)).status).toBe(200);
  });

  test('or finish the TLS handshake is disconnected', async () => {
    await using world = await startTestWorld({ config: { headersTimeoutMs: 300 } });
    const socket = connect({ host: '127.0.0.1', port: world.gateway.tlsPort ?? 0 });
    expect(await closedAfter(socket)).toBeLessThan(3000);
    const plainOnTls = connect({ host: '127.0.0.1', port: world.gateway.tlsPort ?? 0 });
    plainOnTls.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await closedAfter(plainOnTls)).toBeLessThan(3000);
  });

  test('after its first one is disconnected after the keep-alive time', async () => {
    await using world = await startTestWorld({ config: { keepAliveTimeoutMs: 300 } });
    const http1 = connect({ host: '127.0.0.1', port: world.gateway.port });
    http1.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    const http2 = connectHttp2(world.url);
    http2.request({ ':path': '/health' }).resume();
    const closed = once(http2, 'close');
    expect(await closedAfter(http1)).toBeLessThan(4000);
    await closed;
  });
});

describe('a request', () => {
  test('without traffic in either direction is reset after the idle time', async () => {
    await using world = await startTestWorld({ config: { idleTimeoutMs: 300 } });
    await world.serve(8080, (_request, response) => response.write('x'));
    await expect(ask(world.url, { headers: { host } })).rejects.toThrow();
    await expect(askHttp2(world.url, { ':path': '/', ':authority': host })).rejects.toThrow();
  });

  test('that is slow but makes progress continues past the idle time, in both directions', async () => {
    await using world = await startTestWorld({ config: { idleTimeoutMs: 300 } });
    await world.serve(8080, (request, response) => {
      if (request.method === 'POST') {
        request.resume().on('end', () => response.end('received'));
        return;
      }
      let count = 0;
      const timer = setInterval(() => {
        response.write('x');
        count += 1;
        if (count < 8) return;
        clearInterval(timer);
        response.end();
      }, 100);
    });
    expect((await ask(world.url, { headers: { host } })).body).toBe('x'.repeat(8));
    expect((await askHttp2(world.url, { ':path': '/', ':authority': host })).body).toBe('x'.repeat(8));
    const upload = httpRequest(world.url, { method: 'POST', headers: { host }, agent: false });
    for (let count = 0; count < 8; count += 1) {
      upload.write('x');
      await delay(100);
    }
    upload.end();
    const [answer] = (await once(upload, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    answer.resume();
  });

  test('whose head arrives in many small packets is understood', async () => {
    await using world = await startTestWorld();
    await world.serve(8080, (request, response) => response.end(`${request.method ?? ''} ${request.url ?? ''}`));
    for (const method of ['GET', 'POST', 'PROPFIND', 'PUT']) {
      const socket = connect({ host: '127.0.0.1', port: world.gateway.port, noDelay: true });
      let received = '';
      socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
      for (const byte of `${method} /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`) {
        socket.write(byte);
        await delay(1);
      }
      await once(socket, 'close');
      expect(received).toContain(`${method} /x`);
    }
  });

  test.each(['', '\r\n\r\n', '\0', 'PRI / HTTP/1.1\r\n\r\n', `${'a'.repeat(100_000)}\r\n`, '\x16\x03\x01\x02\x00'])(
    'that is malformed gets 400 or a close, and the port stays usable: %j',
    async (bytes) => {
      await using world = await startTestWorld({ config: { headersTimeoutMs: 300 } });
      const answer = await askRaw(world.gateway.port, bytes, 4000);
      expect(
        answer === '' || /^HTTP\/1\.1 4\d\d /.test(answer) || answer.charCodeAt(3) === 4 || answer.includes('\0'),
      ).toBe(true);
      expect((await ask(`${world.url}/health`)).status).toBe(200);
    },
  );
});

describe('the shutdown of the gateway', () => {
  test('waits for an open request and then closes everything', async () => {
    const world = await startTestWorld({ config: { shutdownGraceMs: 5000 } });
    const release: (() => void)[] = [];
    await world.serve(8080, (_request, response) => {
      response.write('first ');
      release.push(() => response.end('last'));
    });
    const asked = ask(world.url, { headers: { host } });
    const overHttp2 = askHttp2(world.url, { ':path': '/', ':authority': host });
    await expect.poll(() => release.length).toBe(2);
    const idle = connect({ host: '127.0.0.1', port: world.gateway.port });
    await once(idle, 'connect');
    const idleClosed = closedAfter(idle);
    const disposed = world.gateway[Symbol.asyncDispose]();
    await expect(ask(`${world.url}/health`)).rejects.toThrow(/ECONNREFUSED/);
    for (const end of release) end();
    expect((await asked).body).toBe('first last');
    expect((await overHttp2).body).toBe('first last');
    await disposed;
    await idleClosed;
    await world[Symbol.asyncDispose]();
  });

  test('resets exchanges that outlast the grace time', async () => {
    const world = await startTestWorld({ config: { shutdownGraceMs: 100 } });
    await world.serve(8080, (_request, response) => response.write('x'));
    const asked = ask(world.url, { headers: { host } }).catch((error: unknown) => error);
    const overHttp2 = askHttp2(world.url, { ':path': '/', ':authority': host }).catch((error: unknown) => error);
    await expect.poll(() => world.router.dials.length).toBe(2);
    await delay(50);
    const startedAt = performance.now();
    await world.gateway[Symbol.asyncDispose]();
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(await asked).toBeInstanceOf(Error);
    expect(await overHttp2).toBeInstanceOf(Error);
    await world[Symbol.asyncDispose]();
  });
});

test('an error in the router affects one request, not the process', async () => {
  await using world = await startTestWorld();
  world.router.find = () => {
    throw new Error('secret detail');
  };
  const answer = await ask(world.url, { headers: { host } });
  expect(answer.status).toBe(500);
  expect(answer.body).not.toContain('secret');
  expect((await ask(`${world.url}/health`)).status).toBe(200);
});

test('many HTTP/2 headers are accepted, and too large ones only affect their own stream', async () => {
  await using world = await startTestWorld();
  const server = await world.serve(8080, (request, response) => response.end(String(request.rawHeaders.length / 2)));
  server.maxHeadersCount = 0;
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`x-metadata-${String(index)}`, 'a']));
  const session = connectHttp2(world.url);
  const ask2 = async (headers: Record<string, string>): Promise<number> => {
    const stream = session.request({ ':path': '/', ':authority': host, ...headers });
    const [answer] = (await once(stream.resume(), 'response')) as [Record<string, unknown>];
    return Number(answer[':status']);
  };
  expect(await ask2(many)).toBe(200);
  const large = ask2({ 'x-large': 'a'.repeat(40_000) });
  const outcome = await large.catch((error: unknown) => error);
  expect(outcome === 431 || outcome instanceof Error).toBe(true);
  session.destroy();
  expect((await ask(world.url, { headers: { host } })).status).toBe(200);
});

test('a port in use fails the start and leaves nothing open', async () => {
  await using world = await startTestWorld();
  await expect(startTestWorld({ config: { port: world.gateway.port } })).rejects.toThrow(/EADDRINUSE/);
  await expect(startTestWorld({ config: { tlsPort: world.gateway.tlsPort ?? 0 } })).rejects.toThrow(/EADDRINUSE/);
});

test('connections above the limit are closed at once', async () => {
  await using world = await startTestWorld({ config: { maxConnections: 2 } });
  const sockets = [0, 1, 2].map(() => connect({ host: '127.0.0.1', port: world.gateway.port }));
  await closedAfter(sockets[2] as Socket);
  expect(sockets.slice(0, 2).map((socket) => socket.destroyed)).toEqual([false, false]);
  for (const socket of sockets) socket.destroy();
});

test('the access log has one line per request and never a query', async () => {
  const lines: Record<string, unknown>[] = [];
  const write = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  await using world = await startTestWorld({ logger, config: { accessLog: 'info' } });
  await world.serve(8080, (_request, response) => response.end('x'));
  await ask(`${world.url}/a?signature=secret`, { headers: { host, 'e2b-traffic-access-token': 'secret' } });
  await ask(`${world.url}/files?path=x&signature=secret`);
  await askHttp2(world.url, { ':path': '/b?secret', ':authority': host });
  await expect.poll(() => lines.filter((line) => line['message'] === 'request').length).toBe(3);
  const requests = lines.filter((line) => line['message'] === 'request');
  expect(requests[0]).toMatchObject({ method: 'GET', path: '/a', status: 200, sandboxId, port: 8080, to: 'sandbox' });
  expect(requests[1]).toMatchObject({ path: '/files', status: 401, to: 'shared' });
  expect(requests[2]).toMatchObject({ path: '/b', status: 200, protocol: 'http/2' });
  expect(JSON.stringify(lines)).not.toContain('secret');
});
