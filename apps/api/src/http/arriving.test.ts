import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { uploadIdleMs } from '../limits.ts';
import { arriving } from './arriving.ts';

let sender: PassThrough;
let chunks: AsyncGenerator<Uint8Array>;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  sender = new PassThrough();
  chunks = arriving(sender as unknown as IncomingMessage);
});
afterEach(() => vi.useRealTimers());

test('a sender whose bytes are not taken for a while is not cut off', async () => {
  sender.write('a');
  expect(String((await chunks.next()).value)).toBe('a');
  vi.advanceTimersByTime(2 * uploadIdleMs);
  sender.end('b');
  expect(String((await chunks.next()).value)).toBe('b');
  expect((await chunks.next()).done).toBe(true);
});

test('a sender that is silent while its bytes are awaited is cut off', async () => {
  sender.write('a');
  await chunks.next();
  const next = chunks.next();
  vi.advanceTimersByTime(uploadIdleMs);
  await expect(next).rejects.toMatchObject({ reason: 'request_timeout' });
});

test('an answer before the end of the body arrives, and the rest of the body is dropped', async () => {
  vi.useRealTimers();
  const dropped = Promise.withResolvers<unknown>();
  await using server = createServer((incoming, response) => {
    incoming.once('end', () => dropped.resolve(true));
    void (async () => {
      for await (const _ of arriving(incoming)) break;
      // As long as an error needs to become an answer.
      await sleep(50);
      response.writeHead(429).end('full');
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sent = request({ port: (server.address() as AddressInfo).port, method: 'PUT' });
  sent.end(Buffer.alloc(64 * 1024 * 1024));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  expect([answer.statusCode, (await answer.toArray()).join('')]).toEqual([429, 'full']);
  await dropped.promise;
});
