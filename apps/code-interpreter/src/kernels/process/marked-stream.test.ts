import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createMarkedStream } from './marked-stream.ts';

const mark = '\u001emark\u001e';

test('text is passed on as it arrives, without the mark, wherever the chunks are cut', async () => {
  const bytes = Buffer.from(`Grüße, 世界${mark}`);
  for (let at = 0; at <= bytes.length; at++) {
    const pipe = new PassThrough();
    let text = '';
    const read = createMarkedStream(pipe).readUntil(mark, (piece) => {
      text += piece;
      return undefined;
    });
    pipe.write(bytes.subarray(0, at));
    await sleep(0);
    pipe.write(bytes.subarray(at));
    await read;
    expect(text).toBe('Grüße, 世界');
  }
});

test('text that only starts like the mark is passed on', async () => {
  const pipe = new PassThrough();
  let text = '';
  const read = createMarkedStream(pipe).readUntil(mark, (piece) => {
    text += piece;
    return undefined;
  });
  pipe.write('a\u001ema');
  await sleep(0);
  expect(text).toBe('a');
  pipe.write(`b${mark}`);
  await read;
  expect(text).toBe('a\u001emab');
});

test('a slow reader pauses the pipe', async () => {
  const pipe = new PassThrough({ highWaterMark: 10 });
  let caughtUp: (() => void) | undefined;
  let pieces = 0;
  const read = createMarkedStream(pipe).readUntil(mark, async () => {
    pieces++;
    await new Promise<void>((resolve) => (caughtUp = resolve));
  });
  pipe.write('first');
  await sleep(5);
  pipe.write('second');
  await sleep(5);
  expect(pieces).toBe(1);
  caughtUp?.();
  await sleep(5);
  expect(pieces).toBe(2);
  caughtUp?.();
  pipe.write(mark);
  await read;
});
