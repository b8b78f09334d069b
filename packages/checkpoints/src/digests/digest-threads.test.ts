import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDigestThreads } from './digest-threads.ts';

// A thread takes some 35 ms to start. One that was terminated while it loaded koffi ended the whole process.
test('threads can be ended at any moment of their start', async () => {
  for (let afterMs = 0; afterMs < 60; afterMs += 1) {
    await using threads = createDigestThreads('promptly');
    threads.start();
    await sleep(afterMs);
  }
});

test('a job that has begun ends before its thread', async () => {
  const threads = createDigestThreads('background');
  const digests = threads.run({
    kind: 'digest',
    path: import.meta.filename,
    ...{ offset: 0, length: 10, blockBytes: 4096, writeBack: false },
  });
  await threads[Symbol.asyncDispose]();
  expect(await digests).toHaveLength(1);
});
