import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The file of a saved sandbox with gVisor's kernel; the memory is in other files. */
export const stateFileName = 'checkpoint.img';
/** It is read as a whole. That of an idle sandbox has 1 MiB, with 25 Python programs 5 MiB. */
const fileBytesMax = 256 * 2 ** 20;

/** The content of a state file: gVisor's name for the file of a checkpoint that contains its kernel's objects. */
export interface StateFile {
  /** The bytes before the objects, with a digest of their own. */
  readonly head: Buffer;
  /** The objects of gVisor's kernel, see `ObjectReader`. */
  readonly objects: Buffer;
}

const magic = 'gVisorSF';
const lengthBytes = 8;
const digestBytes = 32;

/** Reads the state file of a saved memory. Throws if it is missing or has an unknown form. */
export async function readStateFile(directory: string): Promise<StateFile> {
  const path = join(directory, stateFileName);
  if ((await stat(path)).size > fileBytesMax) throw unknownForm('it is too large');
  return parseStateFile(await readFile(path));
}

/**
 * The head is a magic word, the length of a JSON text, the text, and a digest. Then follow pieces of the objects,
 * mostly of one byte, each preceded by its length. Numbers are big-endian (gVisor: pkg/state/statefile,
 * pkg/compressio/nocompressio.go). Throws if the file has another form.
 */
export function parseStateFile(file: Buffer): StateFile {
  const textStart = magic.length + lengthBytes;
  if (file.length < textStart || file.toString('latin1', 0, magic.length) !== magic) throw unknownForm('no magic word');
  const textEnd = textStart + Number(file.readBigUInt64BE(magic.length));
  const { compression } = JSON.parse(file.toString('utf8', textStart, textEnd)) as { compression?: string };
  if (compression !== 'none') throw unknownForm('it is compressed');
  const head = file.subarray(0, textEnd + digestBytes);
  return { head, objects: joinPieces(file.subarray(head.length)) };
}

function joinPieces(pieces: Buffer): Buffer {
  const joined = Buffer.alloc(pieces.length);
  let length = 0;
  for (let at = 0; at < pieces.length;) {
    const size = pieces.readUInt32BE(at);
    const start = at + 4;
    at = start + size;
    if (size === 0 || at > pieces.length) throw unknownForm('a piece is cut short');
    // Byte by byte: a call of `copy` costs more than the single byte that it mostly would copy.
    for (let from = start; from < at; from++) joined[length++] = pieces[from] ?? 0;
  }
  return joined.subarray(0, length);
}

/** In one piece: four fifths smaller than runsc writes it. */
export function formatStateFile({ head, objects }: StateFile): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(objects.length);
  return Buffer.concat([head, size, objects]);
}

/** The error for a file that runsc wrote in another form or that somebody altered. */
export function unknownForm(what: string): Error {
  return new Error(`The state file has an unknown form: ${what}.`);
}
