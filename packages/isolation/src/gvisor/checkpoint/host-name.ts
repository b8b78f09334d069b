import { createObjectReader, kinds } from './object-reader.ts';
import type { Group, Span } from './saved-objects.ts';
import { fieldOf, objectAt, readGroups, readStruct, structsOf } from './saved-objects.ts';
import { unknownForm } from './state-file.ts';

/** The length of a host name of at most this many bytes takes one byte. Linux allows 64. */
const lengthMax = 127;

/** The objects with another host name of the sandbox, or the same objects if the name is the same. */
export function withHostName(objects: Buffer, name: string): Buffer {
  const text = Buffer.from(name, 'latin1');
  if (text.length > lengthMax) throw unknownForm('a host name is too long');
  const { start, end } = findHostName(objects);
  const saved = Buffer.concat([Buffer.of(text.length), text]);
  if (objects.subarray(start, end).equals(saved)) return objects;
  return Buffer.concat([objects.subarray(0, start), saved, objects.subarray(end)]);
}

/** The place of the length and text of the name that the sandbox was started with or got by a restore. */
function findHostName(objects: Buffer): Span {
  for (const group of readGroups(objects)) {
    const [kernel] = structsOf(group, 'pkg/sentry/kernel.Kernel').values();
    if (kernel !== undefined) return hostNameOf(group, objectAt(group, fieldOf(kernel, 'rootUTSNamespace')));
  }
  throw unknownForm('no kernel');
}

function hostNameOf(group: Group, namespace: number): Span {
  const reader = createObjectReader(group.bytes, fieldOf(readStruct(group, namespace), 'hostName'));
  reader.expect(kinds.string);
  const start = reader.at;
  reader.readString();
  return { start, end: reader.at };
}
