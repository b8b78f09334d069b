import { kinds, ObjectReader } from './object-reader.ts';
import { unknownForm } from './state-file.ts';

/** Where a number stands in a stream that has to become 0 without changing its length. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

interface SavedType {
  readonly name: string;
  readonly fields: readonly string[];
}

/** Objects that were saved together; ids of objects and types are good among them only. */
interface Group {
  readonly bytes: Uint8Array;
  /** By id less 1. */
  readonly types: readonly SavedType[];
  /** Where the object of an id begins. */
  readonly objects: ReadonlyMap<number, number>;
}

/** Where the fields of a struct begin. */
type Fields = ReadonlyMap<string, number>;

/**
 * An *interest* is what a program asked of epoll about one file. gVisor takes one off the list of ready interests without
 * clearing the links of its neighbours, so that an interest that was deleted, its file closed, can still be reached, is saved,
 * and comes back among the ready ones: the program is told of a file that it has closed, under an address it has freed. Programs
 * of Bun jump to where that points. And a list that was saved while something joined it comes back torn, and its
 * programs wait for ever (google/gvisor#14147).
 *
 * A restore notifies every interest that asks for anything. So: those that no epoll has any more shall ask for
 * nothing, and every list of ready ones shall be empty, to be filled by the restore.
 */
export function findEpollFaults(bytes: Uint8Array): readonly Span[] {
  const reader = new ObjectReader(bytes);
  const spans: Span[] = [];
  while (!reader.atEnd) spans.push(...faultsOf(readGroup(bytes, reader)));
  return spans;
}

function readGroup(bytes: Uint8Array, reader: ObjectReader): Group {
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

function faultsOf(group: Group): Span[] {
  const epolls = [...structsOf(group, 'pkg/sentry/vfs.EpollInstance').values()];
  const live = new Set(epolls.flatMap((epoll) => idsInMap(group, fieldOf(epoll, 'interest'))));
  const spans: Span[] = [];
  for (const [id, interest] of structsOf(group, 'pkg/sentry/vfs.epollInterest')) {
    if (!live.has(id)) spans.push(...numberIn(group, fieldOf(interest, 'mask'), kinds.uint));
    spans.push(...numberIn(group, fieldOf(interest, 'ready'), kinds.bool));
  }
  for (const epoll of epolls) {
    const list = readStruct(group, fieldOf(epoll, 'ready'));
    for (const end of ['head', 'tail']) spans.push(...numberIn(group, fieldOf(list, end), kinds.ref));
  }
  return spans;
}

/** The objects of a type, by id. */
function structsOf(group: Group, typeName: string): Map<number, Fields> {
  const found = new Map<number, Fields>();
  const typeId = group.types.findIndex(({ name }) => name === typeName) + 1;
  if (typeId === 0) return found;
  for (const [id, at] of group.objects) {
    if (group.bytes[at] !== kinds.struct) continue;
    const reader = new ObjectReader(group.bytes, at + 1);
    if (reader.readUint() === typeId) found.set(id, readStruct(group, at));
  }
  return found;
}

function readStruct(group: Group, at: number): Fields {
  const reader = new ObjectReader(group.bytes, at);
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

function fieldOf(fields: Fields, name: string): number {
  const at = fields.get(name);
  if (at === undefined) throw unknownForm(`no field ${name}`);
  return at;
}

/** The objects that the values of a map are references to; `at` is where the reference to the map stands. */
function idsInMap(group: Group, at: number): number[] {
  const reference = new ObjectReader(group.bytes, at);
  // Of an epoll that was closed.
  if (reference.readUint() === kinds.nil) return [];
  const reader = new ObjectReader(group.bytes, group.objects.get(reference.readUint()));
  reader.expect(kinds.map);
  const ids: number[] = [];
  reader.eachEntry((valueKind) => {
    if (valueKind !== kinds.ref) throw unknownForm(`kind ${valueKind} in place of a reference`);
    ids.push(new ObjectReader(group.bytes, reader.at).readUint());
  });
  return ids;
}

/** The number in a value of `kind`, a reference's being the object's id. None when it is 0, which is not written at all. */
function numberIn(group: Group, at: number, kind: number): Span[] {
  const reader = new ObjectReader(group.bytes, at);
  if (group.bytes[at] === kinds.nil) return [];
  reader.expect(kind);
  const start = reader.at;
  reader.readUint();
  return [{ start, end: reader.at }];
}
