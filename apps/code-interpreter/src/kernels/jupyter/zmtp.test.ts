import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { expect, onTestFinished, test } from 'vitest';
import { connectZmtp } from './zmtp.ts';

const greeting = Buffer.alloc(64);
greeting[0] = 0xff;
greeting[9] = 0x7f;
greeting[10] = 3;
greeting.write('NULL', 12);
const ready = Buffer.from([4, 6, 5, ...Buffer.from('READY')]);

/** A peer that sends a greeting and then `bytes` in pieces of `size`. */
async function connectTo(bytes: Buffer, size: number) {
  const folder = await mkdtemp(join(tmpdir(), 'zmtp-'));
  const peers: Socket[] = [];
  const received: Buffer[] = [];
  const server = createServer((peer) => {
    peers.push(peer);
    peer.on('data', (chunk) => received.push(chunk));
    peer.on('error', () => undefined);
    void (async () => {
      for (let at = 0; at < bytes.length; at += size) {
        peer.write(bytes.subarray(at, at + size));
        await sleep(0);
      }
    })();
  });
  const path = join(folder, 'socket');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(async () => {
    for (const peer of peers) peer.destroy();
    server.close();
    await removeTree(folder);
  });
  const messages: string[][] = [];
  const closed: (string | undefined)[] = [];
  const connected = connectZmtp(path, 'SUB', {
    onMessage: (frames) => messages.push(frames.map((frame) => frame.toString())),
    onClose: (reason) => closed.push(reason),
  });
  return { connected, messages, closed, received: () => Buffer.concat(received), end: () => peers[0]?.destroy() };
}

test.each([1, 3, 64, 1000])('messages are assembled from chunks of %i bytes', async (size) => {
  const long = 'x'.repeat(300);
  const longFrame = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 1, 44]), Buffer.from(long)]);
  const bytes = [greeting, ready, Buffer.from([1, 1, 97, 0, 1, 98]), longFrame, Buffer.from([0, 0])];
  const { connected, messages, closed } = await connectTo(Buffer.concat(bytes), size);
  await connected;
  await expect.poll(() => messages.length, { timeout: 5000 }).toBe(3);
  expect(messages).toEqual([['a', 'b'], [long], ['']]);
  expect(closed).toEqual([]);
});

test('sends its greeting and subscribes only after the handshake', async () => {
  const { connected, received } = await connectTo(Buffer.concat([greeting, ready]), 1000);
  await connected;
  await expect.poll(() => received().length).toBe(64 + 2 + 6 + 1 + 11 + 4 + 3 + 3);
  expect(received().subarray(0, 11)).toEqual(Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3]));
  expect(received().subarray(-3)).toEqual(Buffer.from([0, 1, 1]));
});

test('a peer that does not speak ZMTP is refused', async () => {
  const { connected } = await connectTo(Buffer.from('HTTP/1.1 400 Bad Request\r\n'.repeat(5)), 1000);
  await expect(connected).rejects.toThrow('refused');
});

test('a message that announces more than 64 MiB is refused at once', async () => {
  const huge = Buffer.from([2, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
  const { connected, closed } = await connectTo(Buffer.concat([greeting, ready, huge]), 1000);
  await connected;
  await expect.poll(() => closed).toEqual(['it sent more than 64 MiB of output at once']);
});

test('the end of the peer is reported once, without a reason', async () => {
  const { connected, closed, end } = await connectTo(Buffer.concat([greeting, ready]), 1000);
  await connected;
  end();
  await expect.poll(() => closed).toEqual([undefined]);
});
