import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { askApi, askWithoutBody } from '../harness/http.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { apiKey, apiUrl, server } from '../harness/server.ts';

const sandbox = sharedSandbox();

const errorBody = (code: number): object => ({ code, message: expect.stringMatching(/./) as string });

// Invalid ids: each must be reported as unknown or malformed, and never reach a path or a query unchanged.
const hostileIds: readonly (readonly [name: string, id: string])[] = [
  ['dots', '..%2F..%2Fetc%2Fpasswd'],
  ['a double dot', '..%2F'],
  ['a NUL', 'i%00'],
  ['a newline', 'i%0Ax'],
  ['10,000 characters', 'i'.repeat(10_000)],
  ['a slash', 'a%2Fb'],
  ['SQL', `i'%20OR%20'1'='1`],
  ['upper case', 'IABCDEF'],
  ['broken percent-encoding', '%E0%A4'],
  ['a full-width letter', '%EF%BD%89'],
];

const sandboxRoutes: readonly { method: string; path: string; body?: object }[] = [
  { method: 'GET', path: '/sandboxes/ID' },
  { method: 'DELETE', path: '/sandboxes/ID' },
  { method: 'POST', path: '/sandboxes/ID/connect', body: { timeout: 10 } },
  { method: 'POST', path: '/v2/sandboxes/ID/connect', body: {} },
  { method: 'POST', path: '/sandboxes/ID/timeout', body: { timeout: 10 } },
  { method: 'POST', path: '/sandboxes/ID/refreshes', body: {} },
  { method: 'GET', path: '/sandboxes/ID/metrics' },
  { method: 'GET', path: '/sandboxes/ID/metrics/history' },
  { method: 'GET', path: '/sandboxes/ID/metrics/custom' },
  { method: 'GET', path: '/sandboxes/ID/logs' },
  { method: 'GET', path: '/v2/sandboxes/ID/logs' },
];

describe.each(sandboxRoutes)('$method $path', ({ method, path, body }) => {
  test.each(hostileIds)('answers an id with %s with the right status', async (_name, id) => {
    const { status, json } = await askApi(method, path.replace('ID', id), body);
    expect([400, 404, 414, 431]).toContain(status);
    if (status === 400 || status === 404) expect(json).toEqual(errorBody(status));
  });

  test('requires a key, then answers an unknown id with 404', async () => {
    const url = path.replace('ID', 'iunknown0000000000000');
    const { status, json } = await askApi(method, url, body);
    expect([status, json]).toEqual([404, errorBody(404)]);
    for (const key of [
      {},
      { 'x-api-key': '' },
      { 'x-api-key': 'x'.repeat(10_000) },
      { 'x-api-key': apiKey.slice(0, -1) },
    ]) {
      const headers = { ...key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
      const stranger = await fetch(`${apiUrl}${url}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      expect([401, 431]).toContain(stranger.status);
      if (stranger.status === 401) expect(await stranger.json()).toEqual(errorBody(401));
    }
  });
});

const badCreates: readonly (readonly [name: string, body: unknown])[] = [
  ['no body', ''],
  ['half a JSON', '{"templateID": "base"'],
  ['an array', []],
  ['null', 'null'],
  ['a number', '7'],
  ['no template', {}],
  ['a template that is a number', { templateID: 7 }],
  ['a template of 10,000 characters', { templateID: 'x'.repeat(10_000) }],
  ['a template with dots', { templateID: '../../etc' }],
  ['a template with NUL', { templateID: 'base\u0000' }],
  ['a template with a newline', { templateID: 'ba\nse' }],
  ['a timeout that is text', { templateID: 'base', timeout: '60' }],
  ['a timeout of half a second', { templateID: 'base', timeout: 0.5 }],
  ['a negative timeout', { templateID: 'base', timeout: -5 }],
  ['an absurd timeout', { templateID: 'base', timeout: 1e300 }],
  ['metadata that is a list', { templateID: 'base', metadata: ['a'] }],
  ['metadata with a number', { templateID: 'base', metadata: { a: 1 } }],
  ['variables with a number', { templateID: 'base', envVars: { A: 1 } }],
  ['a variable named with =', { templateID: 'base', envVars: { 'A=B': 'c' } }],
  ['a variable with NUL', { templateID: 'base', envVars: { A: 'b\u0000c' } }],
  ['secure that is text', { templateID: 'base', secure: 'yes', allow_internet_access: 'no' }],
  ['an address that is none', { templateID: 'base', network: { allowOut: ['999.1.1.1/33'] } }],
  ['an IPv6 block to deny', { templateID: 'base', network: { denyOut: ['::/0'] } }],
  ['a host mask with a newline', { templateID: 'base', network: { maskRequestHost: 'a\r\nX: y' } }],
];

describe.each(['/sandboxes', '/v2/sandboxes'])('POST %s', (path) => {
  test.each(badCreates)('refuses %s', async (_name, body) => {
    const { status, json } = await askApi('POST', path, body);
    expect([400, 404], JSON.stringify(json)).toContain(status);
    expect(json).toEqual(errorBody(status));
  });

  test('ignores unknown fields', async () => {
    const { status, json } = await askApi('POST', path, { templateID: 'base', timeout: 10, tomorrow: { a: 1 } });
    expect(status).toBe(201);
    await askApi('DELETE', `/sandboxes/${(json as { sandboxID: string }).sandboxID}`);
  });

  test('refuses a body of 50 MB without reading all of it', async () => {
    const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
    expect(await askWithoutBody(path, headers, 50_000_000, 2_000_000)).toBe(413);
  });

  test('refuses other types of body', async () => {
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x']) {
      const { status, json } = await askApi('POST', path, '{"templateID":"base"}', { 'content-type': type });
      expect([status, json]).toEqual([415, errorBody(415)]);
    }
  });
});

test.each([
  ['a deep JSON', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ['deep metadata', `{"templateID":"base","metadata":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`],
  ['a poisoned prototype', '{"templateID":"base","__proto__":{"admin":true}}'],
  ['a poisoned constructor', '{"templateID":"base","constructor":{"prototype":{"admin":true}}}'],
])('%s is refused', async (_name, body) => {
  const { status, json } = await askApi('POST', '/v2/sandboxes', body);
  if (status === 201) await askApi('DELETE', `/sandboxes/${(json as { sandboxID: string }).sandboxID}`);
  expect([status, json]).toEqual([400, errorBody(400)]);
});

test.each([
  ['timeout', { timeout: -1 }],
  ['timeout', { timeout: 'x' }],
  ['timeout', { timeout: 1.5 }],
  ['timeout', {}],
  ['timeout', '{"timeout": 1'],
  ['connect', { timeout: -1 }],
  ['connect', { timeout: null }],
  ['connect', []],
  ['refreshes', { duration: -1 }],
  ['refreshes', { duration: 'long' }],
])('a bad %s body %j is refused and changes nothing', async (route, body) => {
  const before = (await sandbox().getInfo()).endAt;
  const { status, json } = await askApi('POST', `/sandboxes/${sandbox().sandboxId}/${route}`, body);
  expect([status, json]).toEqual([400, errorBody(400)]);
  expect((await sandbox().getInfo()).endAt).toEqual(before);
});

test.each([
  '/sandboxes/ID/metrics?start=x',
  '/sandboxes/ID/metrics?end=-1e99',
  '/sandboxes/ID/metrics/history?step=0',
  '/v2/sandboxes/ID/logs?limit=1001',
  '/v2/sandboxes/ID/logs?direction=up',
  '/v2/sandboxes/ID/logs?level=loud',
  `/v2/sandboxes/ID/logs?search=${'x'.repeat(257)}`,
  '/sandboxes/ID/logs?start=yesterday',
  '/sandboxes/metrics',
])('the query of %s is refused', async (path) => {
  const { status, json } = await askApi('GET', path.replace('ID', sandbox().sandboxId));
  expect([status, json]).toEqual([400, errorBody(400)]);
});

describe.each([
  { method: 'GET', path: '/volumes/ID' },
  { method: 'DELETE', path: '/volumes/ID' },
  { method: 'GET', path: '/buckets/ID' },
  { method: 'PATCH', path: '/buckets/ID' },
  { method: 'DELETE', path: '/buckets/ID' },
  { method: 'POST', path: '/buckets/ID/check' },
  { method: 'GET', path: '/volumecontent/ID/dir?path=/' },
  { method: 'DELETE', path: '/volumecontent/ID/path?path=/x' },
])('$method $path', ({ method, path }) => {
  test.each(hostileIds)('answers an id with %s with the right status', async (_name, id) => {
    const { status } = await askApi(
      method,
      path.replace('ID', id),
      ...(method === 'PATCH' ? [{ readOnly: true }] : []),
    );
    expect([400, 404, 414, 431]).toContain(status);
  });
});

test.each([
  ['name', { name: '../a' }],
  ['name', { name: 'a'.repeat(129) }],
  ['name', {}],
  ['size', { name: 'a', sizeMb: 0 }],
  ['size', { name: 'a', sizeMb: 1.5 }],
])('a volume with a bad %s %j is refused', async (_what, body) => {
  expect((await askApi('POST', '/volumes', body)).status).toBe(400);
});

test.each([
  ['name', { name: '../a' }],
  ['url', { url: 'file:///etc' }],
  ['url', { url: 's3://bucket?endpoint=http://127.0.0.1:1' }],
  ['url', { url: 's3://bucket?endpoint=http://169.254.169.254&insecure=true' }],
  ['url', { url: 's3://user:password@bucket' }],
  ['credentials', { credentials: { accountKey: 'x' } }],
])('a bucket with a bad %s %j is refused', async (_what, body) => {
  expect((await askApi('POST', '/buckets', { name: 'a', url: 's3://bucket', ...body })).status).toBe(400);
});

test('unknown routes and methods are reported as such', async () => {
  for (const path of ['/nothing', '/sandboxes/a/b/c/d', '//sandboxes', '/.env', '/..%2f..%2fetc/passwd']) {
    const { status, json } = await askApi('GET', path);
    expect([400, 404]).toContain(status);
    expect(json).toEqual(errorBody(status));
  }
  const { status, json, headers } = await askApi('PATCH', `/sandboxes/${sandbox().sandboxId}`, {});
  expect([404, 405]).toContain(status);
  expect(json).toEqual(errorBody(status));
  if (status === 405) expect(headers.get('allow')).toMatch(/GET/);
});

test.each([
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['a header without a colon', 'GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n'],
  ['two lengths', 'POST /v2/sandboxes HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde'],
  [
    'a length and chunks',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a negative length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n'],
  ['a bad chunk', 'POST /v2/sandboxes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ['a head of 1 MB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`],
  ['10,000 headers', `GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(10_000)}\r\n`],
  ['CONNECT', 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n'],
  ['random bytes', Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 131) % 256)).toString('latin1')],
])('%s on the wire is answered with 4xx or disconnected', async (_name, bytes) => {
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
    onTestFinished(() => {
      socket.destroy();
    });
    let text = '';
    socket.setTimeout(20_000, () => {
      socket.destroy();
      reject(new Error('the server neither answered nor hung up'));
    });
    socket.on('data', (data) => {
      text += data.toString('latin1');
      // A response is enough: an understood request keeps its connection.
      if (text.includes('\r\n\r\n')) resolve(text);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
  if (reply !== '') expect(reply).toMatch(/^HTTP\/1\.1 4\d\d /);
});

test('after all these requests the server works', async () => {
  expect((await fetch(`${apiUrl}/health`)).status).toBe(204);
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
});
