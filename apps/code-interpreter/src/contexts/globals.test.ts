import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { readGlobals } from './globals.ts';

async function ask(answer: RequestListener, token?: string): Promise<Readonly<Record<string, string>>> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await readGlobals(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, token);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const answering =
  (body: string, status = 200): RequestListener =>
  (_request, response) =>
    response.writeHead(status).end(body);

test('the variables of envd are read with the token of the client', async () => {
  const seen: unknown[] = [];
  const variables = await ask((request, response) => {
    seen.push(request.url, request.headers['x-access-token']);
    response.end('{"A":"1","B":"ü","C":3,"D":null}');
  }, 'secret');
  expect(variables).toEqual({ A: '1', B: 'ü' });
  expect(seen).toEqual(['/envs', 'secret']);
});

test('there are none without the token, and none in an answer that is broken, too large or cut off', async () => {
  expect(await ask(answering('{"A":"1"}', 401))).toEqual({});
  expect(await ask(answering('["A"'))).toEqual({});
  expect(await ask(answering('null'))).toEqual({});
  expect(await ask(answering(JSON.stringify({ A: 'x'.repeat(5 * 2 ** 20) })))).toEqual({});
  expect(
    await ask((_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"A":"1"}');
      response.socket?.destroy();
    }),
  ).toEqual({});
  expect(await readGlobals('http://127.0.0.1:1', undefined)).toEqual({});
});
