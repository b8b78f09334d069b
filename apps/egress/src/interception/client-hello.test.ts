import { expect, test } from 'vitest';
import { readHello } from './client-hello.ts';

/** A handshake message in records of this many bytes. */
function inRecords(message: Buffer, size: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

/** A ClientHello with this content of ALPN, after `padding` bytes of another extension. */
function helloOf(protocols: string, padding: number): Buffer {
  const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
  const alpn = Buffer.concat([uint16(protocols.length), Buffer.from(protocols)]);
  const extensions = Buffer.concat([
    ...[uint16(21), uint16(padding), Buffer.alloc(padding)],
    ...[uint16(16), uint16(alpn.length), alpn],
  ]);
  const body = Buffer.concat([
    Buffer.alloc(2 + 32),
    Buffer.from([0, 0, 2, 19, 1, 1, 0]),
    uint16(extensions.length),
    extensions,
  ]);
  return Buffer.concat([Buffer.from([1, 0]), uint16(body.length), body]);
}

test.each([1, 3, 4, 5, 16_000])('a hello in records of %i bytes is read whole', (size) => {
  const bytes = inRecords(helloOf('\x02h2', 100), size);
  expect(readHello(bytes)).toEqual({ kind: 'hello', protocols: ['h2'] });
  expect(readHello(bytes.subarray(0, -1))).toEqual({ kind: 'incomplete' });
});

test('a hello in thousands of records takes no more time than its length', () => {
  const bytes = inRecords(helloOf('\x02h2', 10_000), 1);
  const before = process.threadCpuUsage();
  expect(readHello(bytes)).toEqual({ kind: 'hello', protocols: ['h2'] });
  // With a join at each record: more than a second.
  expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(200);
});

test.each([
  ['another record', Buffer.from([23, 3, 1, 0, 1, 1])],
  ['another handshake message', Buffer.from([22, 3, 1, 0, 1, 2])],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
])('%s is not a hello', (_, bytes) => {
  expect(readHello(bytes)).toEqual({ kind: 'unknown' });
});
