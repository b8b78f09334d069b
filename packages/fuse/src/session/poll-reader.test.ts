import { execFileSync } from 'node:child_process';
import { constants, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPollReader } from './poll-reader.ts';
import type { Reader } from './reader.ts';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'soulbox-poll-reader-'))));
afterAll(async () => await rm(folder, { recursive: true }));

test('a request that is gone before it is read does no harm to a mount', async () => {
  // Two readers of one pipe are both told of a message, and one of them finds nothing. The kernel does the same to a
  // mount whose request is taken back because its process was killed.
  const pipe = join(folder, 'pipe');
  execFileSync('/usr/bin/mkfifo', [pipe]);
  const read: string[] = [];
  const faults: unknown[] = [];
  const start = (): Reader => {
    const reader = startPollReader(
      {
        fd: openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK),
        bufferBytes: 64,
        writeBuffers: undefined,
        hasRoom: () => true,
        onMessage: (buffer, bytes) => void read.push(buffer.toString('utf8', 0, bytes)),
        onFault: (error) => faults.push(error),
      },
      0,
    );
    if (reader === undefined) throw new Error('Node has no stream that polls a descriptor.');
    return reader;
  };
  const readers = [start(), start()];
  const writer = openSync(pipe, constants.O_WRONLY);
  const sent = Array.from({ length: 20 }, (_, n) => `message ${n}`);
  for (const message of sent) {
    writeSync(writer, message);
    await sleep(5);
  }
  expect(faults).toEqual([]);
  expect(read).toEqual(sent);
  for (const reader of readers) reader.stop('gone');
  await Promise.all(readers.map((reader) => reader.ended));
  for (const reader of readers) reader.close();
});
