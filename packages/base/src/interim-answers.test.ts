import { once } from 'node:events';
import { get } from 'node:http';
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

async function ask(): Promise<number | undefined> {
  const { port } = server.address() as AddressInfo;
  return await new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
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
