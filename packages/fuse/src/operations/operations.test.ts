/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FuseError } from '../fuse-fs.ts';
import { createMemoryFs } from '../memory/memory-fs.ts';
import { createContext } from '../session/context.ts';
import { parseMessage } from '../wire/message.ts';
import { opcodes } from '../wire/opcodes.ts';
import { operations } from './operations.ts';

/** A message with a true header. */
function messageOf(opcode: number, nodeId: number, body: Uint8Array): Buffer {
  const message = Buffer.alloc(40 + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt32LE(opcode, 4);
  message.writeUInt32LE(2, 8);
  message.writeUInt32LE(nodeId, 16);
  message.set(body, 40);
  return message;
}

/** The code of the error, or 'done'. Any other error fails the test. */
async function outcomeOf(bytes: Buffer, fs = createMemoryFs({ locks: true, maxBytes: 1 << 24 })): Promise<string> {
  try {
    const message = parseMessage(bytes, bytes.length);
    const operation = operations[message.opcode];
    if (operation === undefined) return 'ENOSYS';
    await operation.run({ fs, message, context: createContext(message) });
    return 'done';
  } catch (error) {
    if (error instanceof FuseError) return error.code;
    throw error;
  }
}

const known = Object.values(opcodes).filter((opcode) => operations[opcode] !== undefined);

/** Small numbers, names, and the ends of ranges make more sense than random bytes. */
const bodies = fc
  .array(
    fc.oneof(
      fc.constantFrom('00', '0000000000000000', 'ffffffffffffffff', 'ffffffffffffff7f', '0000000000002000'),
      fc.constantFrom('0100000000000000', '61006200', '2e2e00', '612f6200'),
      fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('hex')),
      fc.constantFrom(Buffer.alloc(300, 'n').toString('hex')),
    ),
    { maxLength: 14 },
  )
  .map((pieces) => Buffer.from(pieces.join(''), 'hex'));

describe('hostile messages', () => {
  test('get an answer or an error of the file system, whatever they contain', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...known),
        fc.integer({ min: 0, max: 3 }),
        bodies,
        async (opcode, node, body) => {
          expect(await outcomeOf(messageOf(opcode, node, body))).toMatch(/^(done|E[A-Z0-9]+)$/);
        },
      ),
      { numRuns: 800 },
    );
  });

  test('may follow each other on one file system', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...known), fc.integer({ min: 1, max: 6 }), bodies), { maxLength: 60 }),
        async (messages) => {
          const fs = createMemoryFs({ locks: true, maxBytes: 1 << 24 });
          // Those that wait for a lock may wait for ever.
          for (const [opcode, node, body] of messages) {
            if (opcode !== opcodes.setlkw) await outcomeOf(messageOf(opcode, node, body), fs);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test.each([
    ['shorter than a header', Buffer.alloc(39)],
    [
      'shorter than it says',
      (() => {
        const m = messageOf(opcodes.lookup, 1, Buffer.from('a\0'));
        m.writeUInt32LE(4000, 0);
        return m;
      })(),
    ],
    [
      'longer than it says',
      (() => {
        const m = messageOf(opcodes.lookup, 1, Buffer.from('a\0'));
        m.writeUInt32LE(40, 0);
        return m;
      })(),
    ],
    ['a name without its zero', messageOf(opcodes.lookup, 1, Buffer.from('a'))],
    ['no second name', messageOf(opcodes.rename, 1, Buffer.from('\x01\0\0\0\0\0\0\0a\0b'))],
    [
      'a write with fewer data',
      (() => {
        const m = messageOf(opcodes.write, 1, Buffer.alloc(41));
        m.writeUInt32LE(2, 56);
        return m;
      })(),
    ],
    ['no argument', messageOf(opcodes.setattr, 1, Buffer.alloc(87))],
    [
      'extensions longer than itself',
      (() => {
        const m = messageOf(opcodes.lookup, 1, Buffer.from('a\0'));
        m.writeUInt16LE(9, 36);
        return m;
      })(),
    ],
  ])('get EIO: %s', async (_what, bytes) => {
    expect(await outcomeOf(bytes)).toBe('EIO');
  });

  test.each([
    [255, 'done'],
    [256, 'ENAMETOOLONG'],
  ])('names have at most 255 bytes: %i', async (length, outcome) => {
    expect(
      await outcomeOf(messageOf(opcodes.lookup, 1, Buffer.concat([Buffer.alloc(length, 'n'), Buffer.alloc(1)]))),
    ).toBe(outcome);
  });
});
