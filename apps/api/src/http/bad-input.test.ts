import { connect } from 'node:net';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasons } from '@soulbox/base';
import { adminToken, startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly open: boolean;
  readonly hasBody: boolean;
  /** What opens it. */
  readonly key: string;
}
let operations: Operation[];
/** Routes of a person, to whom a key is nobody. Their own tests send invalid input to them. */
const ofPerson = /^\/(?:auth\/|personal-)/;
const forKeys = (): Operation[] => operations.filter(({ path }) => !ofPerson.test(path));

beforeAll(async () => {
  api = await startTestApi({ config: { requestTimeoutSeconds: 2 } });
  const document = (await api.ask('GET', '/openapi.json')).json as {
    paths: Record<string, Record<string, { security?: unknown[]; requestBody?: unknown }>>;
  };
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      open: operation.security?.length === 0,
      hasBody: operation.requestBody !== undefined,
      key: method === 'patch' && path === '/teams/{teamID}/limits' ? adminToken : api.key,
    })),
  );
});
afterAll(() => api[Symbol.asyncDispose]());

const fill = (path: string, value: string): string => path.replaceAll(/\{\w+\}/g, value);

/** Checks the common form of errors, which has two or three keys. */
function expectErrorForm(answer: { status: number; json: unknown; headers: Headers }, context: string): void {
  const { code, message, error_code: errorCode, ...rest } = answer.json as Record<string, unknown>;
  expect([context, typeof message, rest]).toEqual([context, 'string', {}]);
  // Routes of the contents of volumes name the reason, unless the router has found no route.
  const codes = [
    answer.status,
    ...(context.includes('/volumecontent/') ? [answer.headers.get('x-soulbox-reason')] : []),
  ];
  expect([context, codes.includes(code as never)]).toEqual([context, true]);
  if (errorCode !== undefined) expect(typeof errorCode).toBe('string');
  expect((message as string).length).toBeLessThanOrEqual(501);
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
  expect(Object.keys(reasons)).toContain(answer.headers.get('x-soulbox-reason'));
  expect(answer.headers.get('content-type')).toContain('application/json');
  expectProtected(answer.headers);
}

/** Every response of the API has them, whatever a browser makes of it. */
function expectProtected(headers: Headers): void {
  const names = ['x-content-type-options', 'x-frame-options', 'cross-origin-resource-policy', 'cache-control'];
  expect(names.map((name) => headers.get(name))).toEqual(['nosniff', 'DENY', 'same-origin', 'no-store']);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(headers.get('access-control-allow-origin')).toBeNull();
}

/** fetch and URL normalize paths; this sends exactly these bytes. */
async function rawPath(
  { method, key }: Pick<Operation, 'method' | 'key'>,
  path: string,
): Promise<{ status: number; json: unknown; headers: Headers }> {
  const { hostname, port } = new URL(api.url);
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ host: hostname, port, method, path, headers: { 'x-api-key': key } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          json: text === '' ? undefined : (JSON.parse(text) as unknown),
          headers: new Headers(answer.headers as Record<string, string>),
        }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}

async function rawBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

describe('every route', () => {
  it('is known to this test', () => {
    expect(operations.length).toBeGreaterThan(55);
    expect(operations.filter((operation) => operation.open).map((operation) => operation.path)).toEqual(['/health']);
  });

  it('without a key or with a wrong one gives 401 in the common form', async () => {
    for (const [index, { method, path, open }] of operations.entries()) {
      if (open) continue;
      // One address would soon be throttled.
      const headers = { 'x-forwarded-for': `192.0.2.${index}` };
      for (const key of [null, `e2b_${'f'.repeat(40)}`]) {
        const answer = await api.ask(method, fill(path, 'ix'), { key, headers });
        expectErrorForm(answer, `${method} ${path}`);
        expect([method, path, answer.status]).toEqual([method, path, 401]);
      }
      // The budget for wrong keys refills at 50 per second.
      await sleep(20);
    }
  });

  it('that takes a body refuses every kind of invalid body with 400', async () => {
    const bodies = [
      ...['{', '[]', 'null', '"text"', '5', '[1,2', '{"a":}', '\u0000', '{"a":1}garbage', '{"__proto__":{"a":1}}'],
      ...['{"templateID":NaN}', '{"timeout":1e309}', '{"timeout":-1e309}', '{"name":{"$ne":1}}', '['.repeat(100_000)],
    ];
    for (const { method, path, key } of forKeys().filter((operation) => operation.hasBody))
      for (const body of bodies) {
        const answer = await api.ask(method, fill(path, 'ix'), { body, key });
        // Optional bodies may be null or lack the field. Then the error is about the unknown sandbox or webhook.
        const optional = /v2.*connect|refreshes|pause|resume|snapshots$|fork|webhooks\//.test(path);
        // Likewise, because this API has been started without functions.
        const lacksFunctions = /\/(?:rollback|invoke)$/.test(path) && answer.status === 501;
        expectErrorForm(answer, `${method} ${path} ${body.slice(0, 40)}`);
        expect([method, path, body.slice(0, 40), answer.status]).toEqual([
          ...[method, path, body.slice(0, 40)],
          (optional && answer.status === 404) || lacksFunctions ? answer.status : 400,
        ]);
      }
  });

  it('refuses a body over 1 MiB with 413, whether its length is announced or not', async () => {
    const big = JSON.stringify({ templateID: 'base', filler: 'a'.repeat(1024 * 1024) });
    // Bundles of functions may be larger; routes.test.ts of functions/ tests their limit.
    const usual = forKeys().filter(({ hasBody, path }) => hasBody && !/^\/functions(?:\/[^/]+\/versions)?$/.test(path));
    for (const { method, path, key } of usual) {
      const answer = await api.ask(method, fill(path, 'ix'), { body: big, key });
      expectErrorForm(answer, path);
      expect([path, answer.status]).toEqual([path, 413]);
    }
    const chunked = await rawBytes(
      `POST /sandboxes HTTP/1.1\r\nhost: x\r\nx-api-key: ${api.key}\r\ncontent-type: application/json\r\n` +
        `connection: close\r\ntransfer-encoding: chunked\r\n\r\n${(1024 * 1024 + 10).toString(16)}\r\n` +
        `${'a'.repeat(1024 * 1024 + 10)}\r\n0\r\n\r\n`,
    );
    expect(chunked).toContain('413');
    expect(chunked).toContain('{"code":413,');
  });

  it('refuses another content type with 415', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'nonsense',
    ])
      for (const { method, path, key } of forKeys().filter((operation) => operation.hasBody)) {
        const answer = await api.ask(method, fill(path, 'ix'), { key, body: '{}', headers: { 'content-type': type } });
        expectErrorForm(answer, `${path} ${type}`);
        expect([path, type, answer.status]).toEqual([path, type, 415]);
      }
  });

  it('survives ids with dots, slashes, NUL, line breaks, 10,000 characters and broken encoding', async () => {
    const ids = [
      ...['..', '../..', '..%2F..%2Fetc%2Fpasswd', '%2e%2e', 'a%2Fb', '%00', 'i%00x', 'i%0d%0ax', '%0a'],
      ...[
        'x'.repeat(10_000),
        'x'.repeat(600),
        '%ff',
        '%zz',
        '%',
        '-',
        'i-a-b',
        '-1',
        '1e309',
        'NaN',
        '9007199254740993',
      ],
      ...["'%20OR%201=1--", '%F0%9F%98%80', '*', '{sandboxID}', ':sandboxID', '__proto__', 'constructor'],
    ];
    for (const operation of forKeys().filter(({ path }) => path.includes('{')))
      for (const id of ids) {
        const { method, path } = operation;
        const answer = await rawPath(operation, fill(path, id));
        // 200: GET /sandboxes/.. and similar paths only match their own pattern.
        const context = `${method} ${fill(path, id.slice(0, 30))}`;
        // An unknown sandbox simply has no events and no connections.
        const isLog = path === '/events/sandboxes/{sandboxID}' || path === '/sandboxes/{sandboxID}/connections';
        if (isLog && answer.status === 200) {
          expect([context, answer.json]).toEqual([context, []]);
          continue;
        }
        expect([context, [400, 404, 405, 413, 415, 501].includes(answer.status)]).toEqual([context, true]);
        expectErrorForm(answer, context);
      }
    expect((await api.ask('GET', '/health')).status).toBe(204);
  });

  it('with a method that it does not have gives 405 and names the allowed methods', async () => {
    const answer = await api.ask('PUT', '/sandboxes/ix');
    expectErrorForm(answer, 'PUT');
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'DELETE, GET']);
    const other = await api.ask('PROPFIND', '/v2/sandboxes', { key: null });
    expectErrorForm(other, 'PROPFIND');
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, POST']);
  });

  it('that does not exist gives 404, whatever is sent with it', async () => {
    for (const path of [
      '/nope',
      '/docs',
      '/dashboard',
      '/sandboxes/',
      '//sandboxes',
      '/sandboxes/a/b/c',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/metrics/x',
    ])
      for (const method of ['GET', 'POST', 'DELETE']) {
        const answer = await rawPath({ method, key: api.key }, path);
        expectErrorForm(answer, `${method} ${path}`);
        expect([path, [404, 405].includes(answer.status)]).toEqual([path, true]);
      }
    const withBody = await api.ask('POST', '/nope', { body: '{ broken', key: null });
    expectErrorForm(withBody, 'body');
  });
});

describe('a malformed request', () => {
  it.each([
    ['garbage', 'hello\r\n\r\n'],
    ['two lengths', 'POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na'],
    [
      'length and chunks',
      'POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['headers of 20 KiB', `GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(20_000)}\r\n\r\n`],
  ])('gets 400 in the common form and a closed connection: %s', async (_what, bytes) => {
    const answer = await rawBytes(bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toEqual({
      code: 400,
      message: expect.any(String) as string,
    });
    expect(answer).toMatch(/x-request-id: [a-z0-9]{16}/);
    expect(answer).toMatch(/x-soulbox-reason: (?:bad_request|request_timeout)/);
  });

  it.each([
    ['in its headers', 'POST /sandboxes HTTP/1.1\r\nhost: x\r\nx-a: '],
    [
      'in its body',
      'POST /sandboxes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\nx-api-key: KEY\r\n\r\n{"a',
    ],
  ])('gets 408 when it stops in the middle, %s', async (_where, bytes) => {
    const startedAt = Date.now();
    const answer = await rawBytes(bytes.replace('KEY', api.key));
    expect(answer).toContain('{"code":408,');
    expect(Date.now() - startedAt).toBeLessThan(6000);
    expect((await api.ask('GET', '/health')).status).toBe(204);
  });

  it('does not block others while hundreds of connections hang', async () => {
    const { hostname, port } = new URL(api.url);
    const sockets = Array.from({ length: 300 }, () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      socket.write('POST /sandboxes HTTP/1.1\r\nhost: x\r\n');
      return socket;
    });
    try {
      for (let n = 0; n < 20; n++) expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(200);
      await Promise.all(
        sockets.map(async (socket) => {
          if (!socket.closed) await once(socket.resume(), 'close');
        }),
      );
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

describe('the request id', () => {
  it('is adopted when it is well formed, and otherwise replaced', async () => {
    const given = await api.ask('GET', '/health', { headers: { 'x-request-id': 'abcDEF_123-456' } });
    expect(given.headers.get('x-request-id')).toBe('abcDEF_123-456');
    for (const bad of ['short', 'x'.repeat(65), 'has blank in it', '{"a":1234567}']) {
      const answer = await api.ask('GET', '/health', { headers: { 'x-request-id': bad } });
      expect(answer.headers.get('x-request-id')).toMatch(/^[a-z0-9]{16}$/);
    }
    expect(await api.readLog()).toContain('"requestId":"abcDEF_123-456"');
  });
});
