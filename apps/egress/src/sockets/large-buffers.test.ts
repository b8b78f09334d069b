import { expect, test } from 'vitest';
import { createLargeBuffers } from './large-buffers.ts';

test('one owner gets no more than its share, and all together no more than there are', () => {
  const buffers = createLargeBuffers({ leasedMax: 3, ownerMax: 2 });
  const first = [buffers.lease('a'), buffers.lease('a')];
  expect(first.every((lease) => lease !== undefined)).toBe(true);
  expect(buffers.lease('a')).toBeUndefined();
  expect(buffers.lease('b')).toBeDefined();
  expect(buffers.lease('c')).toBeUndefined();
  first[0]?.release();
  expect(buffers.lease('c')).toBeDefined();
});

test('two leases never have the same memory, also after one was released twice', () => {
  const buffers = createLargeBuffers({ leasedMax: 3, ownerMax: 3 });
  const released = buffers.lease('a');
  released?.release();
  released?.release();
  const memories = [buffers.lease('a'), buffers.lease('a'), buffers.lease('a')].map((lease) => lease?.buffer.buffer);
  expect(memories.includes(undefined)).toBe(false);
  expect(new Set(memories).size).toBe(3);
  expect(buffers.lease('a')).toBeUndefined();
});
