import { SoulBoxError } from '@soulbox/base';
import { hashBytes, joinSubtrees, perfectRanges, rootOf } from './tree.ts';
import type { Hash, Range } from './tree.ts';

/** Hashes in a full tile, entries in a full bundle (C2SP's tlog-tiles). */
export const tileWidth = 256;
const tileBits = 8;
const lengthBytes = 2;

/** A file of a log: a tile of hashes, or a bundle of entries. */
export interface TileName {
  readonly level: number | 'entries';
  readonly index: number;
  /** 256, or less for the rightmost one. */
  readonly width: number;
}

/** The path below the log's folder or URL, such as `tile/0/x001/234.p/7`. */
export function tilePath({ level, index, width }: TileName): string {
  const groups = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  return `tile/${level}/${groups.join('/')}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** The reverse of `tilePath`. Undefined for any other text, so that a path of a stranger names nothing else. */
export function parseTilePath(path: string): TileName | undefined {
  const form = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,4})(\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;
  const [, level = '', upper = '', last = '', width = String(tileWidth)] = form.exec(path) ?? [];
  if (last === '') return undefined;
  const index = Number(upper.replaceAll(/[x/]/g, '') + last);
  const name = { level: level === 'entries' ? level : Number(level), index, width: Number(width) } as const;
  return tilePath(name) === path && name.width <= tileWidth ? name : undefined;
}

/** Number of complete hashes at a level of a log of this size. */
export function hashesAt(level: number, size: number): number {
  return Math.floor(size / tileWidth ** level);
}

/** The names of all tiles and bundles that a log of this size has from the leaf `from` on, in the order of leaves. */
export function* tileNames(size: number, from = 0): Generator<TileName> {
  for (const level of ['entries', 0] as const) yield* tilesOfLevel(level, size, Math.floor(from / tileWidth));
  for (let level = 1; hashesAt(level, size) > 0; level += 1) yield* tilesOfLevel(level, hashesAt(level, size), 0);
}

function* tilesOfLevel(level: TileName['level'], hashes: number, first: number): Generator<TileName> {
  for (let index = first; index * tileWidth < hashes; index += 1)
    yield { level, index, width: Math.min(tileWidth, hashes - index * tileWidth) };
}

export function encodeTile(hashes: readonly Hash[]): Buffer {
  return Buffer.concat(hashes);
}

/** Throws `state_damaged` if it does not have `width` hashes. */
export function decodeTile(bytes: Buffer, width: number): Hash[] {
  if (bytes.length !== width * hashBytes)
    throw new SoulBoxError('state_damaged', `A tile of ${width} hashes has ${bytes.length} bytes.`);
  return Array.from({ length: width }, (_, index) => bytes.subarray(index * hashBytes, (index + 1) * hashBytes));
}

/** Entries of at most 65,535 bytes, each after its length. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      const length = Buffer.alloc(lengthBytes);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

/** Throws `state_damaged` if it does not have `width` entries. */
export function decodeBundle(bytes: Buffer, width: number): Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  while (at + lengthBytes <= bytes.length) {
    const start = at + lengthBytes;
    at = start + bytes.readUInt16BE(at);
    entries.push(bytes.subarray(start, at));
  }
  if (at !== bytes.length || entries.length !== width)
    throw new SoulBoxError('state_damaged', `A bundle must have ${width} whole entries, but has ${entries.length}.`);
  return entries;
}

/** Reads tiles of a log of a known size. */
export type ReadTile = (name: TileName) => Promise<Buffer>;

/** The hash of a subtree of a log of `size` leaves, from its tiles. */
export async function hashOfRange(range: Range, size: number, read: ReadTile): Promise<Hash> {
  const hashes: Hash[] = [];
  for (const perfect of perfectRanges(range)) hashes.push(await hashOfPerfect(perfect, size, read));
  return joinSubtrees(hashes);
}

async function hashOfPerfect([from, to]: Range, size: number, read: ReadTile): Promise<Hash> {
  const height = Math.log2(to - from);
  const level = Math.floor(height / tileBits);
  const [first, count] = [from / tileWidth ** level, 2 ** (height % tileBits)];
  const index = Math.floor(first / tileWidth);
  const width = Math.min(tileWidth, hashesAt(level, size) - index * tileWidth);
  const tile = decodeTile(await read({ level, index, width }), width);
  const start = first - index * tileWidth;
  return rootOf(tile.slice(start, start + count));
}
