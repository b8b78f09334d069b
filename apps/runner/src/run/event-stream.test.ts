import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { streamOf } from './event-stream.ts';

test('a reader gets every event in order, and the work waits for it', async () => {
  const taken: string[] = [];
  const stream = streamOf<string>(async (emit) => {
    for (const event of ['a', 'b', 'c']) {
      await emit(event);
      taken.push(event);
    }
  });
  expect((await stream.next()).value).toBe('a');
  expect(taken).toEqual([]);
  expect((await stream.next()).value).toBe('b');
  expect(taken).toEqual(['a']);
  expect((await stream.next()).value).toBe('c');
  expect((await stream.next()).done).toBe(true);
  expect(taken).toEqual(['a', 'b', 'c']);
});

test('events that were emitted at once are all delivered', async () => {
  const seen: number[] = [];
  for await (const event of streamOf<number>(async (emit) => {
    await Promise.all([1, 2, 3].map(emit));
  }))
    seen.push(event);
  expect(seen).toEqual([1, 2, 3]);
});

test('an error of the work comes after its events', async () => {
  const stream = streamOf<string>(async (emit) => {
    await emit('a');
    throw new Error('broken');
  });
  expect((await stream.next()).value).toBe('a');
  await expect(stream.next()).rejects.toThrow('broken');
});

test('a reader that leaves aborts the work, and returns after the work has ended', async () => {
  const end: string[] = [];
  const stream = streamOf<number>(async (emit, left) => {
    void emit(1);
    void emit(2);
    await emit(3);
    if (!left.aborted) await new Promise((resolve) => left.addEventListener('abort', resolve));
    await emit(4);
    end.push('ended');
  });
  for await (const event of stream) if (event === 2) break;
  expect(end).toEqual(['ended']);
});

test('a reader that is gone only according to the signal does not block the work', async () => {
  const gone = new AbortController();
  const end: string[] = [];
  const stream = streamOf<number>(async (emit) => {
    await emit(1);
    await emit(2);
    end.push('ended');
  }, gone.signal);
  // It never asks for the second event.
  expect((await stream.next()).value).toBe(1);
  gone.abort();
  await new Promise((resolve) => setImmediate(resolve));
  expect(end).toEqual(['ended']);
});

test('an event that was taken is not kept until the end of the stream', async () => {
  const listeners: number[] = [];
  const stream = streamOf<number>(async (emit, left) => {
    for (let event = 0; event < 1000; event += 1) await emit(event);
    listeners.push(getEventListeners(left, 'abort').length);
  });
  let count = 0;
  for await (const event of stream) count += event >= 0 ? 1 : 0;
  expect(count).toBe(1000);
  expect(listeners[0]).toBeLessThanOrEqual(1);
});
