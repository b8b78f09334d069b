import { once } from 'node:events';
import { get } from 'node:http';
import type { ClientRequest } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { boundInterimAnswers, maxInterimAnswers, maxInterimChars } from './interim-answers.ts';

boundInterimAnswers();

let answer: string;
const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', () => {
    socket.write(answer);
    // Sent later, because the parser finishes everything that arrives in one read.
    setTimeout(() => socket.end('HTTP/1.1 204 No Content\r\n\r\n'), 20);
  });
});
beforeEach(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

async function ask(onRequest?: (request: ClientRequest) => void): Promise<number | undefined> {
  const { port } = server.address() as AddressInfo;
  return await new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    onRequest?.(request);
  });
}

test.each([
  ['HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n', maxInterimAnswers],
  ['HTTP/1.1 100 Continue\r\n\r\n', maxInterimAnswers],
  [`HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(12_000)}\r\n\r\n`, Math.floor(maxInterimChars / 12_004)],
])('a request takes a bounded number of interim answers (%#)', async (interim, most) => {
  answer = interim.repeat(most);
  expect(await ask()).toBe(204);
  answer = interim.repeat(most + 1);
  await expect(ask()).rejects.toThrow(/too many interim responses/);
});

test('a request that has failed makes no more errors of what arrived with the last answer', async () => {
  answer = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000);
  let counted = 0;
  const asked = ask((request) => {
    const destroy = request.destroy.bind(request);
    request.destroy = (error) => {
      counted += 1;
      return destroy(error);
    };
  });
  await expect(asked).rejects.toThrow(/too many interim responses/);
  expect(counted).toBe(1);
});
