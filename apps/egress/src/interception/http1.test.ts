import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { hostName, openWorld, textOf } from './testing/intercepted-world.ts';
import type { WorldOptions } from './testing/intercepted-world.ts';
import { ask, askRaw, openTls } from './testing/request.ts';

/** A host that repeats what it was asked. */
const repeating: WorldOptions['answer'] = (request, response) => {
  void textOf(request).then((body) =>
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        raw: request.rawHeaders,
        body,
      }),
    ),
  );
};

interface Repeated {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly raw: string[];
  readonly body: string;
}

const repeated = (body: string): Repeated => JSON.parse(body) as Repeated;

test('a request and its answer pass, and the log has method, path and bytes', async () => {
  await using world = await openWorld({ answer: repeating });
  const answer = await ask(world, { method: 'POST', path: '/v1/things?q=hidden', body: 'hello' });
  expect(repeated(answer.body)).toMatchObject({
    method: 'POST',
    url: '/v1/things?q=hidden',
    body: 'hello',
    headers: { host: hostName },
  });
  await expect
    .poll(() => world.recorded)
    .toMatchObject([
      {
        method: 'POST',
        path: '/v1/things',
        rule: hostName,
        address: '203.0.113.7',
        isAllowed: true,
        reason: undefined,
        bytesSent: 5,
      },
    ]);
  expect(world.recorded[0]?.bytesReceived).toBe(answer.body.length);
});

test('a rule replaces the header of the sandbox, whatever its case and however often it is sent', async () => {
  await using world = await openWorld({
    answer: repeating,
    rule: { headers: { Authorization: 'Bearer own', 'X-New': '1' } },
  });
  const seen = await askRaw(
    world,
    `GET / HTTP/1.1\r\nHost: ${hostName}\r\nauthorization: a\r\nAUTHORIZATION: b\r\nConnection: close, authorization, x-new\r\nX-Kept: yes\r\n\r\n`,
  );
  const { raw, headers } = repeated(seen.slice(seen.indexOf('{'), seen.lastIndexOf('}') + 1));
  expect(raw.filter((text) => text.toLowerCase() === 'authorization')).toHaveLength(1);
  expect(headers).toMatchObject({ authorization: 'Bearer own', 'x-new': '1', 'x-kept': 'yes' });
});

test('the value of a placeholder reaches the host, and the next connection has a new version', async () => {
  const seen: string[] = [];
  await using world = await openWorld({
    answer: (request, response) => {
      seen.push(String(request.headers['x-api-key']));
      response.end();
    },
    rule: { headers: { 'x-api-key': 'k-${e2b.secrets.openai}' } },
  });
  world.values.set('e2b.secrets.openai', 'first');
  await ask(world);
  world.values.set('e2b.secrets.openai', 'second');
  await ask(world);
  expect(seen).toEqual(['k-first', 'k-second']);
  const request = { sandboxId: 'isandbox', teamId: 'team', name: hostName, identityTokens: {} };
  const asked = { ...request, placeholders: ['e2b.secrets.openai'] };
  expect(world.resolved).toEqual([asked, asked]);
});

const canary = 'canary-0123456789-canary';

test('a host that repeats the value does not bring it into the sandbox: not in the status line, in headers or the body, not at a border of chunks', async () => {
  await using world = await openWorld({
    answer: (request, response) => {
      const key = request.headers['x-api-key'] as string;
      expect(request.headers['accept-encoding']).toBeUndefined();
      response.writeHead(200, `said ${key}`, { 'x-echo': `got ${key}`, trailer: 'x-end' });
      response.write(`body ${key} and ${key.slice(0, 7)}`);
      setTimeout(() => {
        response.write(`${key.slice(7)} end canary-01`);
        response.addTrailers({ 'x-end': key });
        response.end();
      }, 50);
    },
    rule: { headers: { 'x-api-key': '${e2b.secrets.k}' } },
  });
  world.values.set('e2b.secrets.k', canary);
  const seen = await askRaw(
    world,
    `GET / HTTP/1.1\r\nHost: ${hostName}\r\nAccept-Encoding: gzip\r\nTE: trailers\r\nConnection: close\r\n\r\n`,
  );
  expect(seen.replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).toContain(`and ${'*'.repeat(canary.length)} end canary-01`);
  expect(seen).toContain(`HTTP/1.1 200 said ${'*'.repeat(canary.length)}\r\n`);
  expect(seen).toContain(`x-echo: got ${'*'.repeat(canary.length)}`);
  expect(seen).not.toContain(canary);
  expect(seen.replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).not.toContain(canary);
});

test.each([
  ['is missing', undefined],
  ['has a line feed', 'a\r\nx-evil: 1'],
  ['has a character above ASCII', 'schlüssel'],
])('a placeholder whose value %s is answered without asking the host', async (_, value) => {
  await using world = await openWorld({ answer: repeating, rule: { headers: { 'x-api-key': '${e2b.secrets.k}' } } });
  if (value !== undefined) world.values.set('e2b.secrets.k', value);
  const { status, body } = await ask(world);
  expect(status).toBe(502);
  expect(JSON.parse(body)).toMatchObject({ code: 502, reason: 'placeholder_failed' });
  expect(body).not.toContain('evil');
  await expect
    .poll(() => world.recorded)
    .toMatchObject([{ reason: 'placeholder_failed', isAllowed: false, address: '' }]);
});

test('a placeholder is not resolved for a connection without TLS', async () => {
  await using world = await openWorld({
    scheme: 'http',
    answer: repeating,
    rule: { headers: { 'x-api-key': '${e2b.secrets.k}', 'x-plain': '1' } },
  });
  world.values.set('e2b.secrets.k', canary);
  const request = httpRequest({ host: '127.0.0.1', port: world.port, headers: { host: hostName } }).end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(502);
  expect(world.resolved).toEqual([]);
  world.setRule({ headers: { 'x-plain': '1' } });
  const second = httpRequest({ host: '127.0.0.1', port: world.port, headers: { host: hostName } }).end();
  const [plain] = (await once(second, 'response')) as [IncomingMessage];
  expect(repeated(await textOf(plain)).headers).toMatchObject({ 'x-plain': '1' });
});

test.each([
  ['another host', `GET / HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n`, 421],
  ['two hosts', `GET / HTTP/1.1\r\nHost: ${hostName}\r\nHost: other.example.com\r\nConnection: close\r\n\r\n`, 421],
  ['another port', `GET / HTTP/1.1\r\nHost: ${hostName}:8443\r\nConnection: close\r\n\r\n`, 421],
  [
    'another host in the target',
    `GET https://other.example.com/ HTTP/1.1\r\nHost: ${hostName}\r\nConnection: close\r\n\r\n`,
    421,
  ],
  ['another scheme', `GET http://${hostName}/ HTTP/1.1\r\nHost: ${hostName}\r\nConnection: close\r\n\r\n`, 400],
  ['no host', `GET / HTTP/1.1\r\nConnection: close\r\n\r\n`, 400],
  ['TRACE', `TRACE / HTTP/1.1\r\nHost: ${hostName}\r\nConnection: close\r\n\r\n`, 405],
  ['CONNECT', `CONNECT ${hostName}:443 HTTP/1.1\r\nHost: ${hostName}\r\n\r\n`, 405],
  ['two lengths', `POST / HTTP/1.1\r\nHost: ${hostName}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, 400],
  [
    'length and chunks',
    `POST / HTTP/1.1\r\nHost: ${hostName}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'an unknown coding',
    `POST / HTTP/1.1\r\nHost: ${hostName}\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['a bare line feed', `GET / HTTP/1.1\nHost: ${hostName}\n\n`, 400],
  ['a space before the colon', `GET / HTTP/1.1\r\nHost : ${hostName}\r\n\r\n`, 400],
  ['a folded line', `GET / HTTP/1.1\r\nHost: ${hostName}\r\nX: a\r\n b\r\n\r\n`, 400],
])('a request with %s does not reach the host', async (_, text, status) => {
  let asked = 0;
  await using world = await openWorld({ answer: (_request, response) => (asked++, response.end()) });
  expect((await askRaw(world, text)).slice(9, 12)).toBe(String(status));
  expect(asked).toBe(0);
});

test('the name of the host counts in any case and form, and the host sees one form', async () => {
  await using world = await openWorld({ answer: repeating });
  for (const host of ['API.Example.COM', `${hostName}.`, `${hostName}:443`])
    expect(repeated((await ask(world, { headers: { host } })).body).headers['host']).toBe(hostName);
});

test('requests that a rule covers by method and path pass, others get 403 naming the rule', async () => {
  const requests = [
    { methods: ['GET'], paths: ['/v1/*'] },
    { methods: ['POST'], paths: ['/v1/chat/*/messages'] },
  ];
  await using world = await openWorld({ answer: repeating, rule: { requests } });
  for (const [method, path] of [
    ['GET', '/v1/models?limit=2'],
    ['GET', '/v1/%6dodels'],
    ['POST', '/v1/chat/7/messages'],
  ] as const)
    expect((await ask(world, { method, path })).status, path).toBe(200);
  for (const [method, path] of [
    ['GET', '/admin'],
    ['POST', '/v1/models'],
    ['GET', '/v1/../admin'],
    ['GET', '/v1/%2e%2e/admin'],
    ['GET', '/v1/%2E./admin'],
    ['GET', '/v1/..;/admin'],
    ['GET', '/v1/x%2f..%2fadmin'],
    ['GET', '/v1/%252e%252e/admin'],
    ['GET', '//v1/models'],
    ['GET', '/v1//models'],
    ['GET', '/v1/x\\..\\admin'],
    ['GET', '/v1/%00'],
    ['GET', '/V1/models'],
    ['OPTIONS', '*'],
  ] as const) {
    const { status, body } = await ask(world, { method, path });
    expect([status, JSON.parse(body)], `${method} ${path}`).toMatchObject([
      403,
      { code: 403, reason: 'request_not_allowed' },
    ]);
    expect((JSON.parse(body) as { message: string }).message).toContain(hostName);
  }
  await expect.poll(() => world.recorded.filter(({ reason }) => reason === 'request_not_allowed')).toHaveLength(14);
});

test('headers that override method and path do not pass a rule that judges them', async () => {
  await using world = await openWorld({ answer: repeating, rule: { requests: [{ methods: ['GET'], paths: ['/a'] }] } });
  const headers = { 'x-http-method-override': 'DELETE', 'X-Original-URL': '/admin', 'x-other': 'kept' };
  const seen = repeated((await ask(world, { path: '/a', headers })).body).headers;
  expect(seen).toMatchObject({ 'x-other': 'kept' });
  expect(Object.keys(seen)).not.toContain('x-http-method-override');
  expect(Object.keys(seen)).not.toContain('x-original-url');
});

test('a rule that changes applies to the next request of an open connection', async () => {
  await using world = await openWorld({
    answer: (request, response) => response.end(`late ${String(request.headers['x-late'])};`),
  });
  const socket = await openTls(world);
  const next = async (): Promise<string> => {
    socket.write(`GET / HTTP/1.1\r\nHost: ${hostName}\r\n\r\n`);
    let seen = '';
    while (!seen.includes(';')) seen += String(((await once(socket, 'data')) as [Buffer])[0]);
    return seen;
  };
  expect(await next()).toContain('late undefined;');
  world.setRule({ headers: { 'x-late': '1' } });
  expect(await next()).toContain('late 1;');
  expect(world.hostConnections()).toBe(1);
  socket.destroy();
});

test.each([
  ['of another name', { certifiedName: 'other.example.com' }],
  ['that nobody trusts', { isTrusted: false }],
])('a host with a certificate %s is not asked, and the sandbox learns why', async (_, options) => {
  let asked = 0;
  await using world = await openWorld({ answer: (_request, response) => (asked++, response.end()), ...options });
  const { status, body } = await ask(world);
  expect([status, JSON.parse(body), asked]).toMatchObject([502, { reason: 'upstream_certificate' }, 0]);
});

test('a host that cannot be reached is answered with the reason', async () => {
  await using world = await openWorld({ answer: repeating });
  world.refuse();
  const { status, body, headers } = await ask(world);
  expect([status, JSON.parse(body), headers['x-soulbox-egress']]).toMatchObject([
    502,
    { reason: 'forbidden_address' },
    'forbidden_address',
  ]);
});

test('bodies stream in both directions at the pace of the reader', async () => {
  await using world = await openWorld({ answer: (request, response) => void request.pipe(response) });
  const socket = await openTls(world);
  const request = httpRequest({
    createConnection: () => socket,
    method: 'POST',
    headers: { host: hostName, 'transfer-encoding': 'chunked' },
  });
  request.write('first');
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const [chunk] = (await once(answer, 'data')) as [Buffer];
  expect(chunk.toString()).toBe('first');
  answer.pause();
  // The host, both connections and the interceptor buffer some MiB, not 256 MiB.
  const block = randomBytes(1024 * 1024);
  let written = 0;
  while (written < 256 && request.write(block)) written++;
  while (
    written < 256 &&
    (await Promise.race([once(request, 'drain').then(() => true), sleep(300).then(() => false)]))
  ) {
    while (written < 256 && request.write(block)) written++;
    written++;
  }
  expect(written).toBeLessThan(100);
  socket.destroy();
});

test('an answer that breaks off is not seen as complete', async () => {
  await using world = await openWorld({
    answer: (_request, response) => {
      response.write('begin');
      setTimeout(() => response.socket?.destroy(), 50);
    },
  });
  await expect(ask(world)).rejects.toThrow();
});

test('a compressed answer passes unchanged', async () => {
  const packed = gzipSync('hello');
  await using world = await openWorld({
    answer: (_request, response) => response.setHeader('content-encoding', 'gzip').end(packed),
  });
  const answer = await ask(world);
  expect([answer.headers['content-encoding'], answer.headers['content-length']]).toEqual([
    'gzip',
    String(packed.length),
  ]);
});

test('the client may wait for 100 Continue', async () => {
  await using world = await openWorld({ answer: repeating });
  const socket = await openTls(world);
  const request = httpRequest({
    createConnection: () => socket,
    method: 'POST',
    headers: { host: hostName, expect: '100-continue', 'content-length': '5' },
  });
  request.flushHeaders();
  await once(request, 'continue');
  request.end('hello');
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  expect(repeated(await textOf(answer)).body).toBe('hello');
  socket.destroy();
});

test('a WebSocket passes with the headers of the rule, and a refused one gets the answer of the host', async () => {
  let key: string | undefined;
  await using world = await openWorld({
    answer: (_request, response) => response.writeHead(404).end('no'),
    onServer: (server) =>
      server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
        key = request.headers['x-api-key'] as string | undefined;
        const accept = createHash('sha1')
          .update(`${request.headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        socket.pipe(socket);
      }),
    rule: { headers: { 'x-api-key': 'own' }, requests: [{ methods: [], paths: ['/socket'] }] },
  });
  const open = `HTTP/1.1\r\nHost: ${hostName}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  const socket = await openTls(world);
  socket.write(`GET /socket ${open}`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  expect(head.toString()).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  socket.write('ping');
  const [echo] = (await once(socket, 'data')) as [Buffer];
  expect([echo.toString(), key]).toEqual(['ping', 'own']);
  socket.destroy();
  expect((await askRaw(world, `GET /other ${open}`)).slice(9, 12)).toBe('403');
});

test('an upgrade to another protocol is declined and passes as a request', async () => {
  await using world = await openWorld({ answer: repeating });
  const seen = await askRaw(
    world,
    `GET / HTTP/1.1\r\nHost: ${hostName}\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n`,
  );
  expect(seen.slice(9, 12)).toBe('200');
  expect(seen).not.toContain('h2c');
});

test('a client that does not trust the CA of the sandbox is not served', async () => {
  await using world = await openWorld({ answer: repeating });
  const socket = connect({ host: '127.0.0.1', port: world.port, servername: hostName });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});
