import { cutOff, createByteSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { parsePax } from './pax.ts';
import { readSparseMap } from './sparse-map.ts';
import type { SparseMap } from './sparse-map.ts';
import { blockBytes, invalidArchive, parseTarHeader } from './tar-header.ts';
import type { TarHeader } from './tar-header.ts';

export interface TarEntry {
  readonly kind: 'file' | 'folder' | 'link' | 'hardLink' | 'special';
  /** Names are bytes. As the archive has it: it can be anything. */
  readonly name: Buffer;
  /** The lower twelve bits. */
  readonly mode: number;
  /** In seconds. */
  readonly mtime: number;
  /** Of a file. */
  readonly size: number;
  /** Of links. */
  readonly target: Buffer;
  /** The parts of a file that are no holes, in order. What is not read is skipped. */
  readBody(): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }>;
}

/** Of a long name, and of all records of a pax header together. */
const maxExtraBytes = 64 * 1024;
const pieceBytes = 256 * 1024;
/** GNU tar fills its last record of 20 blocks with zeros. */
const maxTailBytes = 1024 * 1024;

const kinds: Readonly<Record<string, TarEntry['kind']>> = {
  ...{ '0': 'file', '7': 'file', '5': 'folder', '2': 'link', '1': 'hardLink' },
  ...{ '3': 'special', '4': 'special', '6': 'special' },
};

interface Extras {
  readonly records?: ReadonlyMap<string, Buffer>;
  readonly longName?: Buffer;
  readonly longLink?: Buffer;
}

/**
 * Reads an archive that a stranger has written, in constant memory. It knows what GNU tar and BusyBox write: pax and
 * GNU headers, and sparse files of pax (version 1.0). Throws `bad_request` for what is invalid, and
 * `sandbox_unreachable` when the archive ends too early.
 */
export async function* readTar(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = createByteSource(stream);
  let extras: Extras = {};
  for (;;) {
    const header = parseTarHeader(await source.readExactly(blockBytes));
    if (header === undefined) break;
    const { type } = header;
    if (type === 'x') extras = { ...extras, records: parsePax(await readExtra(source, header)) };
    else if (type === 'L') extras = { ...extras, longName: withoutNul(await readExtra(source, header)) };
    else if (type === 'K') extras = { ...extras, longLink: withoutNul(await readExtra(source, header)) };
    else if (type === 'g') await readExtra(source, header);
    else {
      yield* readEntry(source, header, extras);
      extras = {};
    }
  }
  let left = maxTailBytes;
  for (let piece = await source.readSome(left); piece !== undefined; piece = await source.readSome(left)) {
    left -= piece.length;
    if (left <= 0) throw invalidArchive('it does not end');
  }
}

async function readExtra(source: ByteSource, { size }: TarHeader): Promise<Buffer> {
  if (size > maxExtraBytes) throw invalidArchive('a header is too long');
  const bytes = await source.readExactly(size);
  await source.skip(paddingOf(size));
  return bytes;
}

function withoutNul(text: Buffer): Buffer {
  const end = text.indexOf(0);
  return end === -1 ? text : text.subarray(0, end);
}

async function* readEntry(source: ByteSource, header: TarHeader, extras: Extras): AsyncGenerator<TarEntry> {
  const { records = new Map<string, Buffer>(), longName, longLink } = extras;
  const kind = kinds[header.type];
  if (kind === undefined) throw invalidArchive(`it has an entry of the unknown type ${JSON.stringify(header.type)}`);
  const storedBytes = numberOf(records, 'size') ?? header.size;
  if (kind !== 'file' && storedBytes !== 0) throw invalidArchive('an entry that is no file has contents');
  const [body, map] = await openBody(source, records, storedBytes);
  yield {
    kind,
    name: records.get('GNU.sparse.name') ?? records.get('path') ?? longName ?? header.name,
    mode: header.mode,
    mtime: numberOf(records, 'mtime') ?? header.mtime,
    size: map?.size ?? storedBytes,
    target: records.get('linkpath') ?? longLink ?? header.linkName,
    readBody: () => readParts(body, map?.parts ?? [{ at: 0, size: storedBytes }]),
  };
  await source.skip(body.left + paddingOf(storedBytes));
}

interface Body {
  left: number;
  readonly source: ByteSource;
}

async function openBody(
  source: ByteSource,
  records: ReadonlyMap<string, Buffer>,
  storedBytes: number,
): Promise<[Body, SparseMap | undefined]> {
  const body = { left: storedBytes, source };
  if (![...records.keys()].some((name) => name.startsWith('GNU.sparse.'))) return [body, undefined];
  const [major, minor] = [numberOf(records, 'GNU.sparse.major'), numberOf(records, 'GNU.sparse.minor')];
  const size = numberOf(records, 'GNU.sparse.realsize');
  if (major !== 1 || minor !== 0 || size === undefined) throw invalidArchive('a sparse file has an unknown form');
  const map = await readSparseMap(size, async () => {
    if (body.left < blockBytes) throw invalidArchive('the map of a sparse file is cut off');
    body.left -= blockBytes;
    return await source.readExactly(blockBytes);
  });
  const total = map.parts.reduce((sum, part) => sum + part.size, 0);
  if (total !== body.left) throw invalidArchive('the map of a sparse file does not fit');
  return [body, map];
}

async function* readParts(body: Body, parts: SparseMap['parts']): ReturnType<TarEntry['readBody']> {
  for (const part of parts) {
    for (let done = 0; done < part.size;) {
      const bytes = await body.source.readSome(Math.min(pieceBytes, part.size - done));
      if (bytes === undefined) throw cutOff();
      body.left -= bytes.length;
      yield { at: part.at + done, bytes };
      done += bytes.length;
    }
  }
}

/** A decimal number, such as a time with a fraction. Only times may be below zero, and no size is then accepted. */
function numberOf(records: ReadonlyMap<string, Buffer>, name: string): number | undefined {
  const text = records.get(name)?.toString('latin1');
  if (text === undefined) return undefined;
  const isTime = name === 'mtime';
  const value = (isTime ? /^-?\d{1,15}(\.\d*)?$/ : /^\d{1,16}$/).test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || value > Number.MAX_SAFE_INTEGER) throw invalidArchive(`${name} is not a valid number`);
  return value;
}

function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}
