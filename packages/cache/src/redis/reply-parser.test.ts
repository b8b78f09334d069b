/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createReplyParser, ReplyError } from './reply-parser.ts';
import type { Reply } from './reply-parser.ts';

function parseAll(pieces: readonly Buffer[], max = 1000): Reply[] {
  const replies: Reply[] = [];
  const parse = createReplyParser(max, (reply) => replies.push(reply));
  for (const piece of pieces) parse(piece);
  return replies;
}

const encode = (reply: Reply): Buffer => {
  if (reply === undefined) return Buffer.from('$-1\r\n');
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`);
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`);
  if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')]);
  return Buffer.from(`-${reply.message}\r\n`);
};

test('replies are the same however the bytes are cut', () => {
  const reply: fc.Arbitrary<Reply> = fc.oneof(
    fc.constant(undefined),
    fc.stringMatching(/^[A-Za-z ]{0,20}$/),
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(new ReplyError('OOM command not allowed')),
  );
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 10 }), cuts, (replies, sizes) => {
      const bytes = Buffer.concat(replies.map(encode));
      const pieces: Buffer[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(parseAll(pieces)).toEqual(replies);
    }),
  );
});

test.each([
  ['a value that is too long, before it is received', '$1001\r\n'],
  ['a value of a negative length', '$-2\r\n'],
  ['a length that is no number', '$1e3\r\n'],
  ['an array', '*1\r\n$1\r\na\r\n'],
  ['a page of a web server', 'HTTP/1.1 400 Bad Request\r\n'],
  ['a line without end', 'x'.repeat(2000)],
  ['a line that ends like one of Unix', '+OK\n'],
  ['a value with more bytes than it says', '$1\r\nabc\r\n'],
])('%s is refused', (_what, text) => {
  expect(() => parseAll([Buffer.from(text)])).toThrow(/The server has sent/);
});

test('arbitrary bytes never make a value that is longer than the limit', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      try {
        for (const reply of parseAll([Buffer.from(bytes)], 10))
          if (Buffer.isBuffer(reply)) expect(reply.length).toBeLessThanOrEqual(10);
      } catch (error) {
        expect((error as Error).message).toMatch(/The server has sent/);
      }
    }),
  );
});

test('an error has its code', () => {
  const [error] = parseAll([Buffer.from('-NOAUTH Authentication required.\r\n')]);
  expect((error as ReplyError).code).toBe('NOAUTH');
});
