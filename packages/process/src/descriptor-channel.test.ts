import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { createDescriptorPair, createDescriptorReceiver, sendDescriptor } from './descriptor-channel.ts';

function pair(): [one: number, other: number] {
  const ends = createDescriptorPair();
  onTestFinished(() => ends.forEach(closeSync));
  return ends;
}
const openCount = (): number => readdirSync('/proc/self/fd').length;

test('a descriptor is found once by its ticket, and refers to the same file', () => {
  const [one, other] = pair();
  using receiver = createDescriptorReceiver(other);
  const files = ['/dev/null', '/dev/zero'].map((path) => openSync(path, 'r'));
  const [first, second] = files.map((fd) => sendDescriptor(one, fd)) as [Uint8Array, Uint8Array];
  const [got, later] = [receiver.take(second), receiver.take(first)] as [number, number];
  expect(fstatSync(got).rdev).toBe(fstatSync(files[1] ?? -1).rdev);
  expect(fstatSync(later).rdev).toBe(fstatSync(files[0] ?? -1).rdev);
  expect(receiver.take(second)).toBeUndefined();
  expect(receiver.take(Buffer.alloc(16))).toBeUndefined();
  for (const fd of [got, later, ...files]) closeSync(fd);
});

test('if a receiver takes nothing, the sender gets an error and the queue stays bounded', () => {
  const [one, other] = pair();
  const fd = openSync('/dev/null', 'r');
  const before = openCount();
  const fill = (): void => {
    for (let sent = 0; sent < 10_000; sent += 1) sendDescriptor(one, fd);
  };
  expect(fill).toThrow(expect.objectContaining({ reason: 'limit_exceeded' }) as Error);
  expect(openCount()).toBe(before);
  createDescriptorReceiver(other)[Symbol.dispose]();
  sendDescriptor(one, fd);
  closeSync(fd);
});

test('descriptors that were sent to an earlier receiver are closed', () => {
  const [one, other] = pair();
  const fd = openSync('/dev/null', 'r');
  const ticket = sendDescriptor(one, fd);
  const before = openCount();
  using receiver = createDescriptorReceiver(other);
  expect(receiver.take(ticket)).toBeUndefined();
  expect(openCount()).toBe(before);
  closeSync(fd);
});

test('unclaimed descriptors are closed after a while', async () => {
  const [one, other] = pair();
  const fd = openSync('/dev/null', 'r');
  let nowMs = 0;
  using receiver = createDescriptorReceiver(other, { now: () => nowMs, sweepMs: 10 });
  const before = openCount();
  const ticket = sendDescriptor(one, fd);
  await expect.poll(openCount).toBe(before + 1);
  nowMs = 20_000;
  await expect.poll(openCount).toBe(before);
  expect(receiver.take(ticket)).toBeUndefined();
  closeSync(fd);
});
