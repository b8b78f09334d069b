import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { createArrival } from './arrival.ts';
import type { ArrivingValue } from './arrival.ts';

function begun(sizeBytes: number) {
  const arrival = createArrival();
  let value: ArrivingValue | undefined;
  arrival.onBegin((given) => (value = given));
  const receiver = arrival.begin(sizeBytes);
  if (value === undefined) throw new Error('Nobody was told of the value.');
  return { arrival, receiver, value };
}

test('a reader gets each part when it is there', async () => {
  const { receiver, value } = begun(6);
  const pieces = value.pieces();
  const first = pieces.next();
  receiver.take(Buffer.from('ab'));
  expect(String((await first).value)).toBe('ab');
  receiver.take(Buffer.from('cd'));
  receiver.take(Buffer.from('ef'));
  expect(String((await pieces.next()).value)).toBe('cdef');
  expect(await pieces.next()).toEqual({ done: true, value: undefined });
  expect(String(receiver.whole())).toBe('abcdef');
});

test('a value without bytes has no parts', async () => {
  const { receiver, value } = begun(0);
  expect(await buffer(value.pieces())).toHaveLength(0);
  expect(receiver.whole()).toHaveLength(0);
});

test('a second sender goes on where the first one stopped, and readers get no byte twice', async () => {
  const { arrival, receiver, value } = begun(6);
  const read = buffer(value.pieces());
  receiver.take(Buffer.from('abcd'));
  const second = arrival.begin(6);
  for (const piece of ['ab', 'cde', 'f']) second.take(Buffer.from(piece));
  expect([String(await read), String(second.whole())]).toEqual(['abcdef', 'abcdef']);
});

test('a sender with another size, more bytes or fewer bytes than it announced is refused', () => {
  const { arrival, receiver } = begun(3);
  expect(() => arrival.begin(4)).toThrow('4 bytes in one place and 3 in another one');
  receiver.take(Buffer.from('ab'));
  expect(() => receiver.whole()).toThrow('2 of 3 bytes came.');
  expect(() => receiver.take(Buffer.from('cd'))).toThrow('More bytes came than were announced.');
});

test('readers get the fault of a value that does not become whole', async () => {
  const { arrival, receiver, value } = begun(3);
  const read = buffer(value.pieces());
  receiver.take(Buffer.from('ab'));
  arrival.fail(new Error('The store is away.'));
  await expect(read).rejects.toThrow('The store is away.');
});
