import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Message } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { CreateSandboxRequestSchema, file_soulbox_runner_v1_runner } from '@soulbox/contract/runner';
import { expect, test } from 'vitest';
import { encodeFields, fieldsNumber, takeFields } from './call-fields.ts';

const request = toBinary(CreateSandboxRequestSchema, create(CreateSandboxRequestSchema, { templateId: 'base' }));

const decode = (...parts: readonly Uint8Array[]) => fromBinary(CreateSandboxRequestSchema, Buffer.concat(parts));

const fieldOf = (text: string): Uint8Array =>
  new BinaryWriter().tag(fieldsNumber, WireType.LengthDelimited).bytes(Buffer.from(text)).finish();

test('fields follow the message and are taken out of it', () => {
  const message = decode(request, encodeFields([['traceparent', '00-1-2-01']]));
  expect([...takeFields(message)]).toEqual([['traceparent', '00-1-2-01']]);
  expect(toBinary(CreateSandboxRequestSchema, message)).toEqual(request);
});

test('a call without fields has the bytes of a version without fields', () => {
  expect(encodeFields([])).toHaveLength(0);
  expect([...takeFields(decode(request))]).toEqual([]);
});

test('a version without fields reads the same message', () => {
  const bytes = Buffer.concat([request, encodeFields([['a', 'b']])]);
  expect(fromBinary(CreateSandboxRequestSchema, bytes, { readUnknownFields: false })).toEqual(decode(request));
});

test('no message between our processes uses the number', () => {
  const files = [file_soulbox_runner_v1_runner, ...file_soulbox_runner_v1_runner.dependencies];
  const numbers = files.flatMap(({ messages }) => messages.flatMap(({ fields }) => fields.map((one) => one.number)));
  expect(numbers.length).toBeGreaterThan(100);
  expect(Math.max(...numbers)).toBeLessThan(fieldsNumber);
});

test.each([
  ['not JSON', '{'],
  ['null', 'null'],
  ['a list of texts', '["a"]'],
  ['a number as a value', '{"a":1}'],
  ['a name in upper case', '{"A":"b"}'],
  ['a line feed in a value', '{"a":"b\\nc"}'],
  ['a value that is too long', JSON.stringify({ a: 'x'.repeat(513) })],
  ['too many fields', JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`a${n}`, ''])))],
  [
    'too many bytes',
    JSON.stringify(Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`a${n}`, 'x'.repeat(500)]))),
  ],
])('fields that are not valid count as absent: %s', (_what, text) => {
  const message = decode(request, fieldOf(text));
  expect([...takeFields(message)]).toEqual([]);
  expect(message.templateId).toBe('base');
});

test('fields of another type, or twice, count as absent', () => {
  const number = new BinaryWriter().tag(fieldsNumber, WireType.Varint).uint32(7).finish();
  expect([...takeFields(decode(request, number))]).toEqual([]);
  expect([...takeFields(decode(request, fieldOf('{"a":"b"}'), fieldOf('{"a":"c"}')))]).toEqual([]);
});

test('other unknown fields stay', () => {
  const other = new BinaryWriter()
    .tag(fieldsNumber - 1, WireType.Varint)
    .uint32(7)
    .finish();
  const message: Message = decode(request, other, fieldOf('{"a":"b"}'));
  takeFields(message);
  expect(message.$unknown).toHaveLength(1);
});

test('fields that a callee would refuse are not sent', () => {
  expect(() => encodeFields([['a', 'b\nc']])).toThrow('not valid');
  expect(() => encodeFields([['a', 'x'.repeat(5000)]])).toThrow('not valid');
});
