import { createObjectReader, kinds, readUint } from './object-reader.ts';
import type { ObjectReader } from './object-reader.ts';
import { unknownForm } from './state-file.ts';

/** Objects that were saved together; ids of objects and types are valid only within the group. */
export interface Group {
  readonly bytes: Buffer;
  /** Index: the type's id less 1. */
  readonly types: readonly SavedType[];
  /** Position of each object by its id. */
  readonly objects: ReadonlyMap<number, number>;
}

interface SavedType {
  readonly name: string;
  readonly fields: readonly string[];
}

/** Position of each field of a struct. */
export type Fields = ReadonlyMap<string, number>;

/** The place of a number or a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function readGroups(bytes: Buffer): readonly Group[] {
  const reader = createObjectReader(bytes);
  const groups: Group[] = [];
  while (reader.at < bytes.length) groups.push(readGroup(bytes, reader));
  return groups;
}

function readGroup(bytes: Buffer, reader: ObjectReader): Group {
  const types: SavedType[] = [];
  const objects = new Map<number, number>();
  const count = reader.readObjectCount();
  while (objects.size < count) {
    const kind = reader.readUint();
    if (kind === kinds.type) {
      const name = reader.readString();
      types.push({ name, fields: Array.from({ length: reader.readUint() }, () => reader.readString()) });
    } else if (kind === kinds.uint) {
      objects.set(reader.readUint(), reader.at);
      reader.skipValue();
    } else throw unknownForm(`kind ${kind} in place of an object`);
  }
  return { bytes, types, objects };
}

/** The objects of a type, by id. */
export function structsOf(group: Group, typeName: string): Map<number, Fields> {
  const found = new Map<number, Fields>();
  const typeId = group.types.findIndex(({ name }) => name === typeName) + 1;
  if (typeId === 0) return found;
  for (const [id, at] of group.objects) {
    if (group.bytes[at] !== kinds.struct) continue;
    if (readUint({ bytes: group.bytes, at: at + 1 }) === typeId) found.set(id, readStruct(group, at));
  }
  return found;
}

export function readStruct(group: Group, at: number): Fields {
  const reader = createObjectReader(group.bytes, at);
  reader.expect(kinds.struct);
  const { fields: names = [] } = group.types[reader.readUint() - 1] ?? {};
  reader.expect(kinds.multipleObjects);
  if (reader.readUint() !== names.length) throw unknownForm('an object has other fields than its type');
  const fields = new Map<string, number>();
  for (const name of names) {
    fields.set(name, reader.at);
    reader.skipValue();
  }
  return fields;
}

export function fieldOf(fields: Fields, name: string): number {
  const at = fields.get(name);
  if (at === undefined) throw unknownForm(`no field ${name}`);
  return at;
}

/** The ids of the objects that the values of a map refer to; `at` is the position of the reference to the map. */
export function idsInMap(group: Group, at: number): number[] {
  // A map that was never created.
  if (group.bytes[at] === kinds.nil) return [];
  const reader = createObjectReader(group.bytes, objectAt(group, at));
  reader.expect(kinds.map);
  const ids: number[] = [];
  reader.eachEntry((valueKind) => {
    if (valueKind !== kinds.ref) throw unknownForm(`kind ${valueKind} in place of a reference`);
    ids.push(readUint({ bytes: group.bytes, at: reader.at }));
  });
  return ids;
}

/** Position of the object that a reference points to. */
export function objectAt(group: Group, at: number): number {
  const reader = createObjectReader(group.bytes, at);
  reader.expect(kinds.ref);
  const id = reader.readUint();
  const found = group.objects.get(id);
  if (found === undefined) throw unknownForm(`no object ${id}`);
  return found;
}

/**
 * The number in a value of `kind`; in a reference, the object's id. Undefined if the number is 0 and not written at
 * all.
 */
export function numberIn(group: Group, at: number, kind: number): Span | undefined {
  if (group.bytes[at] === kinds.nil) return undefined;
  const reader = createObjectReader(group.bytes, at);
  reader.expect(kind);
  const start = reader.at;
  reader.readUint();
  return { start, end: reader.at };
}
