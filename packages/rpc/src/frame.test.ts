import { expect, test } from 'vitest';
import { createFrameReader, decodeCall, encodeCall, encodeFrame, frameKind } from './frame.ts';
import type { Frame } from './frame.ts';

const payload = Buffer.from('answer');
const two = Buffer.concat([encodeFrame(frameKind.message, 1, payload), encodeFrame(frameKind.end, 2 ** 32 - 1)]);

function read(...chunks: readonly Buffer[]): Frame[] {
  const frames: Frame[] = [];
  const reader = createFrameReader((frame) => frames.push(frame));
  for (const chunk of chunks) reader.push(chunk);
  expect(reader.heldBytes).toBe(0);
  return frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload) }));
}

test('frames are the same wherever the socket cuts them', () => {
  const expected = [
    { kind: frameKind.message, call: 1, payload },
    { kind: frameKind.end, call: 2 ** 32 - 1, payload: Buffer.alloc(0) },
  ];
  for (let cut = 0; cut <= two.length; cut++) expect(read(two.subarray(0, cut), two.subarray(cut))).toEqual(expected);
  expect(read(...Array.from(two, (_, index) => two.subarray(index, index + 1)))).toEqual(expected);
});

test('the bytes of an incomplete frame are counted', () => {
  const reader = createFrameReader(() => undefined);
  reader.push(two.subarray(0, two.length - 1));
  expect(reader.heldBytes).toBe(encodeFrame(frameKind.end, 1).length - 1);
});

test('a frame that is too large or too short is refused as soon as its length is known', () => {
  for (const length of [2 ** 32 - 1, 65 * 1024 * 1024, 4, 0]) {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    expect(() => createFrameReader(() => undefined).push(head)).toThrow(/^a frame/);
  }
});

const call = (timeoutMs: number | undefined): ReturnType<typeof decodeCall> => {
  const [frame] = read(encodeCall(3, { path: '/a.B/C', timeoutMs, message: payload }));
  return decodeCall(frame?.payload ?? Buffer.alloc(0));
};

test('a call keeps its path, message and time limit', () => {
  expect(call(undefined)).toEqual({ path: '/a.B/C', timeoutMs: undefined, message: payload });
  expect(call(1500.2).timeoutMs).toBe(1501);
});

test('a time limit stays within what a timer can wait, and is never taken for none', () => {
  expect(call(Number.MAX_SAFE_INTEGER).timeoutMs).toBe(2 ** 31 - 1);
  expect(call(0).timeoutMs).toBe(1);
});

test('a call that is cut short is refused', () => {
  const [frame] = read(encodeCall(3, { path: '/a.B/C', timeoutMs: 1, message: Buffer.alloc(0) }));
  const whole = frame?.payload ?? Buffer.alloc(0);
  for (let size = 0; size < whole.length; size++)
    expect(() => decodeCall(whole.subarray(0, size))).toThrow(/too short/);
});
