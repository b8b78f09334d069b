/** @module-tag violation */
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { AttachResponseSchema, InteractResponseSchema } from '@soulbox/contract/process-v1';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrameHead } from './output-frames.ts';

const position = fc.oneof(fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1), fc.maxSafeNat());

test('a frame has the bytes that connect would write', () => {
  const part = fc.record({
    kind: fc.constant('output' as const),
    position,
    streamPosition: position,
    stream: fc.constantFrom(1 as const, 2 as const, 3 as const),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 131_072 }).map((length) => new Uint8Array(length).fill(7)),
    ),
  });
  fc.assert(
    fc.property(part, (output) => {
      const { stream, bytes } = output;
      const value = {
        position: BigInt(output.position),
        stream: stream satisfies number,
        streamPosition: BigInt(output.streamPosition),
        data: bytes,
      };
      const event = { event: { case: 'output' as const, value } };
      const frame = Buffer.concat([encodeFrameHead(output), bytes]);
      for (const schema of [AttachResponseSchema, InteractResponseSchema])
        expect(frame.equals(encodeEnvelope(0, toBinary(schema, create(schema, { event }))))).toBe(true);
    }),
  );
});
