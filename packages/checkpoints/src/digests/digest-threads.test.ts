import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDigestThreads } from './digest-threads.ts';

// A thread takes some 35 ms to start. One that was terminated while it loaded koffi ended the whole process.
test('threads can be ended at any moment of their start', async () => {
  for (let afterMs = 0; afterMs < 60; afterMs += 3) {
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

test('small jobs share a message: each gets its own result, and one that fails harms no other', async () => {
  await using threads = createDigestThreads('background');
  const digestAt = async (offset: number, path = import.meta.filename): Promise<unknown> =>
    await threads.run({ kind: 'digest', path, offset, length: 10, blockBytes: 4096, writeBack: false });
  const offsets = Array.from({ length: 40 }, (_, at) => at * 3);
  const outcomes = await Promise.allSettled(
    offsets.map(async (offset) => await digestAt(offset, offset === 60 ? '/proc/nowhere' : undefined)),
  );
  const text = await readFile(import.meta.filename);
  for (const [at, offset] of offsets.entries()) {
    const digest = hash('sha256', text.subarray(offset, offset + 10));
    expect(outcomes[at]).toMatchObject(
      offset === 60 ? { status: 'rejected', reason: { code: 'ENOENT' } } : { status: 'fulfilled', value: [digest] },
    );
  }
});
