// A tenant's page under the API's host name must not control that origin in a browser.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { envdPort, fileSignature } from '@soulbox/contract';
import { ask, askHttp2 } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
/** The last request that the code in the sandbox received, and its answer. */
let seen: IncomingMessage | undefined;
let answered: OutgoingHttpHeaders;
/** The lines of the early hint that it sends first, as on the wire. */
let hinted: readonly string[];

const page = '<script>parent.document.title</script>';
/** Each of these headers affects a complete origin. */
const ruling = {
  'set-cookie': ['session=forged; Path=/', 'other=1'],
  'service-worker-allowed': '/',
  'clear-site-data': '"*"',
  'strict-transport-security': 'max-age=31536000',
  'alt-svc': 'h3=":443"',
  'reporting-endpoints': 'x="https://evil.example/"',
  nel: '{"report_to":"x","max_age":9}',
  'origin-agent-cluster': '?0',
  'accept-ch': 'Sec-CH-UA',
  'set-login': 'logged-in',
};

beforeAll(async () => {
  const functions = { open: () => Promise.resolve({ sandboxId, port: 8787, leaseMs: 0 }) };
  world = await startTestWorld({ functions, config: { portClosedRetryDelayMs: 1 } });
  for (const port of [8787, envdPort]) {
    const server = await world.serve(port, (request, response) => {
      seen = request;
      if (hinted.length > 0) response.socket?.write(`HTTP/1.1 103 Early Hints\r\n${hinted.join('\r\n')}\r\n\r\n`);
      response.writeHead(200, answered).end(page);
    });
    server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nSet-Cookie: a=b\r\n\r\n');
    });
  }
});
afterAll(async () => await world[Symbol.asyncDispose]());
beforeEach(() => {
  hinted = [];
  answered = { 'content-type': 'text/html', 'x-kept': 'yes', 'content-security-policy': "img-src 'none'", ...ruling };
});

const at = async (path: string, host: string, headers: OutgoingHttpHeaders = {}) =>
  await ask(`${world.url}${path}`, { headers: { host, ...headers } });

function signedPath(): string {
  const file = { path: '/home/user/a.html', operation: 'read', username: '', expiration: undefined } as const;
  const signature = fileSignature(file, `token-of-${sandboxId}`);
  return `/files?path=${encodeURIComponent(file.path)}&signature=${encodeURIComponent(signature)}`;
}

type InterimAnswer = Record<string, unknown>;

async function hintsOverHttp1(path: string, host: string, headers: OutgoingHttpHeaders): Promise<InterimAnswer> {
  const asked = httpRequest(`${world.url}${path}`, { headers: { host, ...headers }, agent: false }).end();
  asked.on('response', (answer) => answer.resume());
  const [interim] = (await once(asked, 'information')) as [{ statusCode: number; headers: InterimAnswer }];
  expect(interim.statusCode).toBe(103);
  return interim.headers;
}

async function hintsOverHttp2(path: string, host: string, headers: OutgoingHttpHeaders): Promise<InterimAnswer> {
  const session = connectHttp2(world.url);
  try {
    const stream = session.request({ ':path': path, ':authority': host, ...headers });
    const [interim] = (await once(stream.resume(), 'headers')) as [InterimAnswer];
    expect(interim[':status']).toBe(103);
    return Object.fromEntries(Object.entries(interim).filter(([name]) => name !== ':status'));
  } finally {
    session.destroy();
  }
}

const routed = { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': '8787' };
const shared: [string, string, () => string, OutgoingHttpHeaders][] = [
  ['a function by its path', '127.0.0.1', () => '/functions-http/shop/', {}],
  ["a function by its path at the API's name", 'api.soulbox.localhost', () => '/functions-http/shop/a', {}],
  ['a signed file', '127.0.0.1', signedPath, {}],
  ['a port by routing headers', '127.0.0.1', () => '/', routed],
];

describe.each(shared)('%s', (_, host, path, headers) => {
  test('sets nothing for the origin, and its page gets an origin of its own', async () => {
    const answer = await at(path(), host, headers);
    expect([answer.status, answer.body, answer.headers['x-kept']]).toEqual([200, page, 'yes']);
    for (const name of Object.keys(ruling)) expect(answer.headers[name], name).toBeUndefined();
    const policies = answer.rawHeaders.filter((_, index) =>
      /^content-security-policy$/i.test(answer.rawHeaders[index - 1] ?? ''),
    );
    // In addition to its own policy: a browser obeys all policies.
    expect(policies).toEqual(["img-src 'none'", expect.stringMatching(/^sandbox(?!.*allow-same-origin)/)]);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  test('does not receive the cookies of the origin, and cannot become its service worker', async () => {
    await at(path(), host, { ...headers, cookie: 'session=of-the-api' });
    expect(seen?.headers.cookie).toBeUndefined();
    seen = undefined;
    expect((await at(path(), host, { ...headers, 'service-worker': 'script' })).status).toBe(403);
    expect(seen).toBeUndefined();
  });

  test('cannot override these headers by sending its own', async () => {
    answered = {
      'x-content-type-options': 'none',
      'content-security-policy': 'sandbox allow-same-origin allow-scripts',
    };
    const answer = await at(path(), host, headers);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(answer.headers['content-security-policy']).toMatch(/, sandbox allow-scripts/);
  });

  test('sets nothing over HTTP/2, either', async () => {
    const { headers: got } = await askHttp2(world.url, { ':path': path(), ':authority': host, ...headers });
    for (const name of Object.keys(ruling)) expect(got[name], name).toBeUndefined();
    expect(String(got['content-security-policy'])).toContain('sandbox');
    expect(got['x-content-type-options']).toBe('nosniff');
  });

  test('sets nothing by a protocol switch, either', async () => {
    const asked = httpRequest(`${world.url}${path()}`, {
      headers: { host, connection: 'upgrade', upgrade: 'x', ...headers },
    });
    asked.end();
    const [answer, socket] = (await once(asked, 'upgrade')) as [IncomingMessage, { destroy(): void }];
    socket.destroy();
    expect([answer.statusCode, answer.headers['set-cookie']]).toEqual([101, undefined]);
  });
});

describe.each([
  ...shared,
  ['a host name of its own', 'fn-shop.soulbox.localhost', () => '/', {}],
] satisfies typeof shared)('an early hint of %s', (_, host, path, headers) => {
  test.each([
    ['HTTP/1.1', hintsOverHttp1],
    ['HTTP/2', hintsOverHttp2],
  ])('contains only its links over %s', async (_protocol, hintsOver) => {
    const links = ['</a.css>; rel=preload; as=style', '</b.js>; rel=preload'];
    const others = Object.entries({ ...ruling, 'x-soulbox-host-token': 'forged', 'x-other': 'y' });
    hinted = [...links.map((link) => `Link: ${link}`), ...others.map(([name, value]) => `${name}: ${String(value)}`)];
    expect(await hintsOver(path(), host, headers)).toEqual({ link: links.join(', ') });
  });
});

test.each([
  ['inline; filename="a.html"', 'attachment; filename="a.html"'],
  ["inline; filename*=UTF-8''%C3%A4", "attachment; filename*=UTF-8''%C3%A4"],
  ['inline', 'attachment'],
  [undefined, 'attachment'],
])('a signed file that says %j is saved by a browser, not shown', async (given, expected) => {
  answered = { 'content-type': 'text/html', ...(given === undefined ? {} : { 'content-disposition': given }) };
  expect((await at(signedPath(), '127.0.0.1')).headers['content-disposition']).toBe(expected);
});

test.each([
  ['fn-shop.soulbox.localhost', '/'],
  [`8787-${sandboxId}.soulbox.localhost`, '/'],
  [`${envdPort}-${sandboxId}.soulbox.localhost`, '/files?path=x'],
])('under a host name of its own (%s) nothing is removed', async (host, path) => {
  const answer = await at(path, host, { cookie: 'a=b', 'service-worker': 'script' });
  for (const [name, value] of Object.entries(ruling)) expect(answer.headers[name], name).toEqual(value);
  expect(answer.headers['content-security-policy']).toBe("img-src 'none'");
  expect(seen?.headers.cookie).toBe('a=b');
});
