import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { uploadIdleMs } from '../limits.ts';
import { arriving } from './upload.ts';

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
