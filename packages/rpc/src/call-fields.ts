import type { Message } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Code, ConnectError } from '@connectrpc/connect';
import { fieldsMaxBytes } from './limits.ts';

/**
 * The protobuf field with which a request message ends if its call has header fields: the highest number that there is.
 * No message of ours uses it, so a callee of a version that does not know header fields skips it (spec/rpc.md).
 */
export const fieldsNumber = 2 ** 29 - 1;

/** As in Connect, but smaller: letters in lower case, and values of visible ASCII. */
const nameForm = /^[a-z0-9-]{1,64}$/;
const valueForm = /^[\x20-\x7e]{0,512}$/;
const fieldsMax = 16;

/** What follows the bytes of a request message. Empty without fields. Throws `Code.InvalidArgument`. */
export function encodeFields(fields: Iterable<readonly [string, string]>): Uint8Array {
  const entries = [...fields];
  if (entries.length === 0) return new Uint8Array();
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  if (text.length > fieldsMaxBytes || !areValid(entries))
    throw new ConnectError('The header fields of a call are not valid.', Code.InvalidArgument);
  return new BinaryWriter().tag(fieldsNumber, WireType.LengthDelimited).bytes(text).finish();
}

/**
 * Takes the header fields out of a request message. Fields that are not valid count as absent: they say nothing that a
 * call needs.
 */
export function takeFields(message: Message): Headers {
  const unknown = message.$unknown ?? [];
  const found = unknown.filter(({ no }) => no === fieldsNumber);
  if (found.length === 0) return new Headers();
  message.$unknown = unknown.filter(({ no }) => no !== fieldsNumber);
  const [field] = found;
  if (found.length > 1 || field?.wireType !== WireType.LengthDelimited) return new Headers();
  return new Headers(parse(field.data));
}

function parse(data: Uint8Array): [string, string][] {
  if (data.length > fieldsMaxBytes + lengthBytesMax) return [];
  try {
    const value: unknown = JSON.parse(Buffer.from(new BinaryReader(data).bytes()).toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    const entries = Object.entries(value);
    return areValid(entries) ? entries : [];
  } catch {
    return [];
  }
}

/** Of the length in front of the text. */
const lengthBytesMax = 5;

function areValid(entries: readonly (readonly [string, unknown])[]): entries is [string, string][] {
  return (
    entries.length <= fieldsMax &&
    entries.every(([name, value]) => nameForm.test(name) && typeof value === 'string' && valueForm.test(value))
  );
}
