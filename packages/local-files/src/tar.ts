import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { LocalEntry } from './find-entries.ts';
import { LocalFilesError, localFilesError } from './local-files-error.ts';

const blockBytes = 512;
const types = { file: '0', link: '2', folder: '5' } as const satisfies Record<LocalEntry['kind'], string>;

/**
 * An archive (POSIX.1-2001) with the same bytes wherever and whenever the same files are packed: without times and
 * owners. Throws LocalFilesError for a file that changes meanwhile.
 */
export async function* tar(root: string, entries: readonly LocalEntry[]): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield header(entry);
    if (entry.kind === 'file') yield* contents(root, entry);
  }
  yield Buffer.alloc(2 * blockBytes);
}

async function* contents(root: string, { path, size }: LocalEntry): AsyncGenerator<Buffer> {
  let left = size;
  try {
    for await (const chunk of createReadStream(join(root, path)) as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
  } catch (error) {
    throw localFilesError(path, error);
  }
  if (left !== 0) throw new LocalFilesError(`${JSON.stringify(path)} has changed while it was read.`);
  yield Buffer.alloc(padding(size));
}

/** A header, after an extended one for what has no room in it. */
function header(entry: LocalEntry): Buffer {
  const { path, kind, size, target } = entry;
  const name = kind === 'folder' ? `${path}/` : path;
  const records = [
    ...(fits(name) ? [] : [record('path', name)]),
    ...(fits(target) ? [] : [record('linkpath', target)]),
    ...(size < 8 ** 11 ? [] : [record('size', String(size))]),
  ];
  const own = block({ ...entry, name, type: types[kind] });
  if (records.length === 0) return own;
  const extended = Buffer.concat(records);
  const before = block({ name: 'PaxHeader', type: 'x', mode: 0o644, size: extended.length, target: '' });
  return Buffer.concat([before, extended, Buffer.alloc(padding(extended.length)), own]);
}

/** The length of a record counts its own digits. */
function record(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

const fits = (text: string): boolean => /^[\x20-\x7e]*$/.test(text) && text.length <= 100;
const padding = (size: number): number => (blockBytes - (size % blockBytes)) % blockBytes;

function block(fields: Pick<LocalEntry, 'mode' | 'size' | 'target'> & { name: string; type: string }): Buffer {
  const bytes = Buffer.alloc(blockBytes);
  const octal = (value: number, length: number): string =>
    value
      .toString(8)
      .padStart(length - 1, '0')
      .slice(1 - length);
  bytes.write(fields.name.slice(0, 100), 0, 100);
  bytes.write(octal(fields.mode, 8), 100);
  bytes.write(octal(0, 8), 108);
  bytes.write(octal(0, 8), 116);
  bytes.write(octal(fields.size, 12), 124);
  bytes.write(octal(0, 12), 136);
  bytes.write('        ', 148);
  bytes.write(fields.type, 156);
  bytes.write(fields.target.slice(0, 100), 157, 100);
  bytes.write('ustar\u000000', 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 7)}\0 `, 148);
  return bytes;
}
