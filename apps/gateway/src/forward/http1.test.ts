import { once } from 'node:events';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask, askHttp2, askRaw } from '../testing/http-client.ts';
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

describe('request headers', () => {
  test('keep their order, case and duplicates, without internal and hop-by-hop headers', async () => {
    const { host } = await serve(echoHeaders);
    const answer = await askRaw(
      world.gateway.port,
      [
        'GET / HTTP/1.1',
        `Host: ${host}`,
        'X-One: 1',
        'x-Two: 2',
        'X-One: 3',
        'X-Latin: \xe4',
        'X-Hop: secret',
        'Keep-Alive: timeout=5',
        'Proxy-Authorization: Basic x',
        'TE: trailers',
        'X-Soulbox-Host-Token: forged',
        'x-soulbox-anything: forged',
        'E2b-Traffic-Access-Token: t',
        'X-Forwarded-For: 6.6.6.6',
        'Forwarded: for=6.6.6.6',
        'Connection: close, x-hop',
        '',
        '',
      ].join('\r\n'),
    );
    const headers = JSON.parse(/\[.*\]/.exec(answer)?.[0] ?? '') as string[];
    expect(headers).toEqual([
      ...['Host', host, 'X-One', '1', 'x-Two', '2', 'X-One', '3', 'X-Latin', Buffer.from('\xe4').toString('latin1')],
      ...['X-Forwarded-For', '127.0.0.1', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', host],
      ...['Connection', 'keep-alive'],
    ]);
  });

  test("to envd contain neither forwarding headers nor a team's key", async () => {
    const { url, host } = await serve(echoHeaders, 49983);
    const answer = await ask(url, {
      headers: { host, 'x-api-key': 'e2b_1', 'x-access-token': 'a', authorization: 'Basic dXNlcjo=' },
    });
    expect(answer.body).not.toMatch(/forwarded|e2b_1/i);
    expect(answer.body).toContain('"x-access-token","a"');
    expect(answer.body).toContain('Basic dXNlcjo=');
  });

  test('over 32 KiB are rejected with 431', async () => {
    const { url, host } = await serve(echoHeaders);
    const answer = await ask(url, { headers: { host, 'x-long': 'a'.repeat(40_000) } });
    expect(answer.status).toBe(431);
  });

  test('are all passed on, even if there are very many', async () => {
    const server = createHttpServer({ maxHeaderSize: 64 * 1024 }, (request, response) =>
      response.end(String(request.rawHeaders.length)),
    );
    server.maxHeadersCount = 0;
    await world.serveNet(8080, server);
    const { url, host } = world.urlOf(8080);
    const many = Object.fromEntries(Array.from({ length: 2500 }, (_, index) => [`x-${String(index)}`, 'a']));
    const answer = await ask(url, { headers: { host, ...many } });
    expect(Number(answer.body)).toBeGreaterThan(5000);
  });

  test('mask the host if the sandbox requests it, but not for envd', async () => {
    world.router.add('imasked', { maskRequestHost: 'localhost:${PORT}' });
    for (const port of [3000, 49983])
      await world.serve(port, (request, response) => response.end(request.headers.host), { sandboxId: 'imasked' });
    const masked = await ask(world.url, { headers: { host: '3000-imasked.soulbox.localhost' } });
    expect(masked.body).toBe('localhost:3000');
    const envd = await ask(world.url, { headers: { host: '49983-imasked.soulbox.localhost' } });
    expect(envd.body).toBe('49983-imasked.soulbox.localhost');
  });

  test('with a hostile mask that would split them cause 502, never a second request', async () => {
    world.router.add('ievil', { maskRequestHost: 'a\r\nX-Injected: 1' });
    await world.serve(3000, echoHeaders, { sandboxId: 'ievil' });
    const answer = await ask(world.url, { headers: { host: '3000-ievil.soulbox.localhost' } });
    expect(answer.status).toBe(502);
  });
});

describe('request framing', () => {
  test.each([
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5\r\nContent-Length: 5',
    'Content-Length: -1',
    'Content-Length: 5, 5',
    'Content-Length: 0x5',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding : chunked',
    ' Transfer-Encoding: chunked',
    'Transfer-Encoding:\x0bchunked',
  ])('is rejected with %j', async (framing) => {
    let requests = 0;
    const { host } = await serve((_request, response) => {
      requests += 1;
      response.end();
    });
    const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const answer = await askRaw(
      world.gateway.port,
      `POST / HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n0\r\n\r\n${smuggled}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (400|501) /);
    expect(requests).toBe(0);
  });

  test.each(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'of a %s without body says that there is none',
    async (method) => {
      const { url, host } = await serve((request, response) => {
        text(request).then(
          (body) => response.end(JSON.stringify([body, request.headers['transfer-encoding']])),
          () => undefined,
        );
      });
      for (const answer of [
        await ask(url, { method, headers: { host } }),
        await askHttp2(world.url, { ':method': method, ':path': '/', ':authority': host }),
      ])
        expect(JSON.parse(answer.body)).toEqual(['', null]);
    },
  );

  test('of a body is preserved: a length as a length, chunks as chunks with their trailers', async () => {
    const { url, host } = await serve((request, response) => {
      const { 'content-length': length = '', 'transfer-encoding': coding = '' } = request.headers;
      text(request).then(
        (body) => response.end(`${body}|${length}|${coding}|${request.rawTrailers.join('=')}`),
        () => undefined,
      );
    });
    const known = await ask(url, { method: 'POST', headers: { host }, body: 'hello' });
    expect(known.body).toBe('hello|5||');
    const chunked = await askRaw(
      world.gateway.port,
      `PUT / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n`,
    );
    expect(chunked).toContain('hello||chunked|X-Sum=7');
    const get = await ask(url, { method: 'GET', headers: { host, 'content-length': '2' }, body: 'hi' });
    expect(get.body).toBe('hi|2||');
    const http2 = await askHttp2(world.url, { ':method': 'POST', ':path': '/', ':authority': host }, { body: 'hi' });
    expect(http2.body).toBe('hi||chunked|');
  });

  test('is correct for two requests in one packet', async () => {
    const { host } = await serve((request, response) => response.end(request.url));
    const one = (path: string, end = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${end}\r\n`;
    const answer = await askRaw(world.gateway.port, one('/first') + one('/second', 'Connection: close\r\n'));
    expect(answer).toMatch(/\/first[^]*\/second/);
  });
});

describe('the answer', () => {
  test('keeps status, text, duplicates, bytes and the reason, without hop-by-hop and internal headers', async () => {
    const { url, host } = await serve((_request, response) => {
      response.writeHead(418, 'Short and stout', [
        ...[
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-Drop',
          'x',
          'Connection',
          'x-drop',
          'X-Soulbox-Host-Token',
          'y',
          'X-Soulbox-Reason',
          'file_not_found',
        ],
      ]);
      response.end('tea');
    });
    const answer = await ask(url, { headers: { host } });
    expect(answer).toMatchObject({ status: 418, body: 'tea' });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.rawHeaders.join().toLowerCase()).not.toMatch(/x-drop|x-soulbox-host-token/);
    expect(answer.headers['x-soulbox-reason']).toBe('file_not_found');
    const http2 = await askHttp2(world.url, { ':path': '/', ':authority': host });
    expect(http2).toMatchObject({ status: 418, body: 'tea' });
    expect(http2.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  test.each([204, 304])('%i has no body in either protocol', async (status) => {
    const { url, host } = await serve((_request, response) => response.writeHead(status, { etag: '"x"' }).end());
    expect(await ask(url, { headers: { host } })).toMatchObject({ status, body: '' });
    expect(await askHttp2(world.url, { ':path': '/', ':authority': host })).toMatchObject({ status, body: '' });
  });

  test('to HEAD keeps the length and has no body', async () => {
    const { url, host } = await serve((_request, response) =>
      response.writeHead(200, { 'content-length': '1234' }).end(),
    );
    const answer = await ask(url, { method: 'HEAD', headers: { host } });
    expect([answer.status, answer.headers['content-length'], answer.body]).toEqual([200, '1234', '']);
    const http2 = await askHttp2(world.url, { ':method': 'HEAD', ':path': '/', ':authority': host });
    expect([http2.status, http2.headers['content-length'], http2.body]).toEqual([200, '1234', '']);
  });

  test('with length 0 keeps its length', async () => {
    const { url, host } = await serve((_request, response) => response.writeHead(200, { 'content-length': '0' }).end());
    expect((await ask(url, { headers: { host } })).headers['content-length']).toBe('0');
  });

  test('has its trailers in both protocols', async () => {
    const { url, host } = await serve((_request, response) => {
      response.writeHead(200, { trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '7' });
      response.end();
    });
    expect((await ask(url, { headers: { host } })).trailers).toEqual({ 'x-sum': '7' });
    const http2 = await askHttp2(world.url, { ':path': '/', ':authority': host });
    expect(http2.trailers).toMatchObject({ 'x-sum': '7' });
  });

  test('to HTTP/1.0 is not chunked', async () => {
    const { host } = await serve((_request, response) => {
      response.write('one');
      response.end('two');
    });
    const answer = await askRaw(world.gateway.port, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    expect(answer).toMatch(/\r\n\r\nonetwo$/);
  });

  test('is passed on as it arrives: server-sent events are not delayed', async () => {
    const pushes: ServerResponse[] = [];
    const { url, host } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      pushes.push(response);
    });
    const outgoing = httpRequest(url, { headers: { host }, agent: false }).end();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(String((await once(incoming, 'data'))[0])).toBe('data: 1\n\n');
    for (const count of ['2', '3']) {
      pushes[0]?.write(`data: ${count}\n\n`);
      expect(String((await once(incoming, 'data'))[0])).toBe(`data: ${count}\n\n`);
    }
    pushes[0]?.end();
    await once(incoming, 'end');
  });

  test('may begin while the request is still being sent, and both continue in parallel', async () => {
    const { host } = await serve((request, response) => void request.pipe(response));
    const outgoing = httpRequest(world.url, { method: 'POST', headers: { host }, agent: false });
    outgoing.write('a');
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(String((await once(incoming, 'data'))[0])).toBe('a');
    outgoing.write('b');
    expect(String((await once(incoming, 'data'))[0])).toBe('b');
    outgoing.end();
    await once(incoming, 'end');
  });

  test('is aborted for the client if it breaks, never ended normally', async () => {
    const { url, host } = await serve((request, response) => {
      if (request.url === '/length') response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => request.socket.destroy(), 20);
    });
    await expect(ask(`${url}length`, { headers: { host } })).rejects.toThrow(/aborted|ECONNRESET/);
    await expect(ask(`${url}chunked`, { headers: { host } })).rejects.toThrow(/aborted|ECONNRESET/);
    await expect(askHttp2(world.url, { ':path': '/', ':authority': host })).rejects.toThrow(/INTERNAL_ERROR/);
    const http10 = connect({ host: '127.0.0.1', port: world.gateway.port });
    http10.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    http10.resume();
    expect(((await once(http10, 'error')) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET');
  });

  test('without length or chunks ends when the service closes', async () => {
    await world.serveNet(
      8081,
      createServer((socket) => socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nold'))),
    );
    const { url, host } = world.urlOf(8081);
    expect((await ask(url, { headers: { host } })).body).toBe('old');
  });

  test('arrives after early hints', async () => {
    const { url, host } = await serve((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.end('x');
    });
    const outgoing = httpRequest(url, { headers: { host }, agent: false }).end();
    const response = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    const [hints] = (await once(outgoing, 'information')) as [{ statusCode: number; headers: Record<string, string> }];
    expect([hints.statusCode, hints.headers['link']]).toEqual([103, '</a.css>; rel=preload']);
    expect((await response)[0].statusCode).toBe(200);
  });
});
