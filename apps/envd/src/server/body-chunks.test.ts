import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bodyChunks } from './body-chunks.ts';

const minuteMs = 60_000;
let request: IncomingMessage;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  request = new IncomingMessage(new Socket());
});
afterEach(() => {
  request.destroy();
  vi.useRealTimers();
});

test('the time that a slow reader takes for a small chunk is not counted against the client', async () => {
  const chunks = bodyChunks(request);
  request.push('small');
  expect((await chunks.next()).value?.toString()).toBe('small');
  vi.advanceTimersByTime(5 * minuteMs);
  const next = chunks.next();
  await vi.advanceTimersByTimeAsync(minuteMs);
  request.push('more');
  expect((await next).value?.toString()).toBe('more');
});

test('a client that sends almost nothing for two minutes is refused', async () => {
  const chunks = bodyChunks(request);
  request.push('small');
  await chunks.next();
  const next = chunks.next();
  next.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(2 * minuteMs + 1);
  await expect(next).rejects.toThrow('Less than 1024 bytes');
});
