import { closeSync, fstatSync, openSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { addressFamily, createSocketPair, message, socketType } from './sockets.ts';
import { receiveMessage, sendMessage, unixAddress } from './unix-messages.ts';

function pair(): [one: number, other: number] {
  const ends = createSocketPair(addressFamily.unix, socketType.stream);
  onTestFinished(() => ends.forEach(closeSync));
  return ends;
}
const devices = ['/dev/null', '/dev/zero', '/dev/full'];

test('a message carries its bytes and several descriptors in order', () => {
  const [one, other] = pair();
  const files = devices.map((path) => openSync(path, 'r'));
  expect(sendMessage(one, Buffer.from('hello'), files, 0)).toBe(5);
  const got = receiveMessage(other, { maxBytes: 100, maxDescriptors: 8 }, 0);
  expect(got?.bytes.toString()).toBe('hello');
  expect(got?.descriptors.map((fd) => fstatSync(fd).rdev)).toEqual(files.map((fd) => fstatSync(fd).rdev));
  for (const fd of [...files, ...(got?.descriptors ?? [])]) closeSync(fd);
});

test('no more descriptors arrive than the receiver has room for', () => {
  const [one, other] = pair();
  const files = devices.map((path) => openSync(path, 'r'));
  sendMessage(one, Buffer.from('x'), files, 0);
  const got = receiveMessage(other, { maxBytes: 1, maxDescriptors: 1 }, 0);
  expect(got?.descriptors).toHaveLength(1);
  for (const fd of [...files, ...(got?.descriptors ?? [])]) closeSync(fd);
});

test('nothing to receive is undefined, and a closed peer is an empty message', () => {
  const [one, other] = createSocketPair(addressFamily.unix, socketType.stream);
  const limits = { maxBytes: 10, maxDescriptors: 1 };
  expect(receiveMessage(other, limits, message.doNotWait)).toBeUndefined();
  closeSync(one);
  expect(receiveMessage(other, limits, 0)).toMatchObject({ bytes: Buffer.alloc(0), descriptors: [] });
  closeSync(other);
});

test('a path that does not fit into an address is refused', () => {
  expect(unixAddress('/run/a.sock').toString('latin1', 2, 13)).toBe('/run/a.sock');
  expect(() => unixAddress(`/${'x'.repeat(107)}`)).toThrow('too long');
});
