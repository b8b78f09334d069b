import { Duplex, PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { openMessageChannel } from './message-channel.ts';

function open(messageMaxBytes: number) {
  const input = new PassThrough();
  const output = new PassThrough();
  const socket = Duplex.from({ readable: input, writable: output });
  const seen: unknown[] = [];
  const ends: boolean[] = [];
  const listener = {
    onMessage: (message: unknown) => seen.push(message),
    onEnd: (tooLong: boolean) => ends.push(tooLong),
  };
  const channel = openMessageChannel(socket, { messageMaxBytes, listener });
  return { input, output, seen, ends, channel };
}

test('messages arrive complete, wherever their bytes are split', async () => {
  const { input, seen } = open(100);
  const bytes = Buffer.from('{"a":"ü"}\n{"b":2}\n');
  for (const byte of bytes) input.write(Buffer.of(byte));
  await expect.poll(() => seen).toEqual([{ a: 'ü' }, { b: 2 }]);
});

test('invalid JSON does not end the channel', async () => {
  const { input, seen } = open(100);
  input.write('{"a":\n[1]\n');
  await expect.poll(() => seen).toEqual([undefined, [1]]);
});

test.each(['', '\n'])('a message above the limit ends the channel, with or without a line end: %j', async (tail) => {
  const { input, seen, ends } = open(10);
  input.write(`"12345678"\n"123456789"${tail}`);
  await expect.poll(() => ends).toEqual([true]);
  expect(seen).toEqual(['12345678']);
});

test('the end of the other side is reported once', async () => {
  const { input, ends } = open(10);
  input.end();
  await expect.poll(() => ends).toEqual([false]);
});

test('a message is sent as one line', async () => {
  const { output, channel } = open(10);
  channel.send({ text: 'a\nb' });
  await expect.poll(() => String(output.read() ?? '')).toBe('{"text":"a\\nb"}\n');
});
