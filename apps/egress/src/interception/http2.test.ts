import { once } from 'node:events';
import type { IncomingHttpHeaders, Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { expect, test } from 'vitest';
import { hostName, openWorld } from './testing/intercepted-world.ts';
import type { WorldOptions } from './testing/intercepted-world.ts';
import { ask, askHttp2, openHttp2, openTls } from './testing/request.ts';

type Http2Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => void;
const answering = (answer: Http2Answer): WorldOptions['answer'] => answer as never;

const repeating = answering((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () =>
    response.end(JSON.stringify({ method: request.method, path: request.url, headers: request.headers, body })),
  );
});

test('HTTP/2 is spoken on both sides, many requests share one connection, and rules apply to each', async () => {
  await using world = await openWorld({
    protocol: 'h2',
    answer: repeating,
    rule: { headers: { 'X-Api-Key': '${e2b.secrets.k}' } },
  });
  world.values.set('e2b.secrets.k', 'short');
  const session = await openHttp2(world);
  const answers = await Promise.all(
    ['/a', '/b', '/c'].map((path) =>
      askHttp2(
        session,
        { ':path': path, ':method': 'POST', 'x-api-key': 'mine', cookie: ['a=1', 'b=2'] as never },
        `body of ${path}`,
      ),
    ),
  );
  for (const { headers, body } of answers) {
    expect(headers[':status']).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      method: 'POST',
      headers: { 'x-api-key': 'short', cookie: 'a=1; b=2', ':authority': hostName },
    });
  }
  expect(answers.map(({ body }) => (JSON.parse(body) as { body: string }).body)).toEqual([
    'body of /a',
    'body of /b',
    'body of /c',
  ]);
  expect(world.hostConnections()).toBe(1);
  session.close();
  await expect.poll(() => world.recorded.map(({ path }) => path).sort()).toEqual(['/a', '/b', '/c']);
});

test('trailers pass in both directions, as gRPC needs them', async () => {
  let seen: IncomingHttpHeaders = {};
  await using world = await openWorld({
    protocol: 'h2',
    answer: answering((request, response) => {
      request.resume().on('end', () => {
        seen = request.trailers;
        response.writeHead(200, { 'content-type': 'application/grpc', te: request.headers.te ?? 'none' } as never);
        response.write('x');
        response.addTrailers({ 'grpc-status': '0' });
        response.end();
      });
    }),
  });
  const session = await openHttp2(world);
  const stream = session.request({ ':path': '/s', ':method': 'POST', te: 'trailers' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
  stream.end('body');
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (found: IncomingHttpHeaders) => (trailers = found));
  stream.resume();
  await once(stream, 'end');
  await once(stream, 'close');
  expect([trailers['grpc-status'], seen['x-sum']]).toEqual(['0', '1']);
  session.destroy();
});

test.each([
  [{ ':authority': 'other.example.com' }, 421],
  [{ host: 'other.example.com' }, 421],
  [{ ':path': '/admin' }, 403],
  [{ ':path': '/v1/%2e%2e/admin' }, 403],
  [{ ':method': 'TRACE' }, 405],
])('a request with %o does not reach the host', async (headers, status) => {
  let asked = 0;
  await using world = await openWorld({
    protocol: 'h2',
    answer: answering((_request, response) => (asked++, response.end())),
    rule: { requests: [{ methods: [], paths: ['/v1/*', '/'] }] },
  });
  const session = await openHttp2(world);
  const answer = await askHttp2(session, headers);
  expect([answer.headers[':status'], asked]).toEqual([status, 0]);
  // The connection goes on.
  expect((await askHttp2(session)).headers[':status']).toBe(200);
  session.destroy();
});

test('the sandbox gets the protocol that the host speaks', async () => {
  await using http1 = await openWorld({ protocol: 'http/1.1', answer: (_request, response) => response.end() });
  expect((await openTls(http1, ['h2', 'http/1.1'])).alpnProtocol).toBe('http/1.1');
  await using http2 = await openWorld({ protocol: 'h2', answer: repeating });
  expect((await openTls(http2, ['h2', 'http/1.1'])).alpnProtocol).toBe('h2');
});

test('a stream that the host resets is reset, and one that the client leaves is cancelled at the host', async () => {
  const left = Promise.withResolvers<number>();
  await using world = await openWorld({
    protocol: 'h2',
    answer: answering((request, response) => {
      if (request.url === '/reset') response.stream.close(11);
      else {
        response.write('begin');
        request.stream.on('close', () => left.resolve(request.stream.rstCode));
      }
    }),
  });
  const session = await openHttp2(world);
  const stream = session.request({ ':path': '/reset' });
  stream.on('error', () => undefined);
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  expect(headers[':status']).toBe(502);
  const leaving = session.request({ ':path': '/leave' });
  await once(leaving, 'data');
  leaving.close(8);
  expect(await left.promise).toBe(8);
  session.destroy();
});

test('without HTTP/2 at the host that cannot be reached, each stream gets the reason', async () => {
  await using world = await openWorld({ protocol: 'h2', answer: repeating });
  world.refuse();
  const session = await openHttp2(world);
  const { headers, body } = await askHttp2(session);
  expect([headers[':status'], JSON.parse(body)]).toMatchObject([502, { reason: 'forbidden_address' }]);
  session.destroy();
});

test('a client without ALPN is served over HTTP/1.1 by a host that speaks it', async () => {
  await using world = await openWorld({ answer: (_request, response) => response.end('plain') });
  expect((await ask(world)).body).toBe('plain');
});
