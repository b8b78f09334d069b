import { chmod, lstat, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';

/**
 * A tree of plain files as a content in which each file has a known place, so that parts of it can be fetched alone: a
 * head that lists the files, then all small files one after the other, then each large file from the beginning of a
 * chunk on. tar has no such places, and this form has no holes, owners and links.
 */

/** Of the chunks of such a content: a block of saved memory, which is encrypted as a whole. */
export const flatChunkBytes = 1024 * 1024;

/** Names of parts of a checkpoint, of blobs and of folders. None begins with a dot. */
const pathForm = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\/){0,4}[A-Za-z0-9_-][A-Za-z0-9._~-]{0,254}$/;
const mode = z.number().int().min(0).max(0o777);
/** CRIU makes some 10 files, and 4 for each process. */
const filesMax = 40_000;

const headSchema = z.object({
  format: z.literal(1),
  folders: z.array(z.object({ path: z.string().regex(pathForm), mode })).max(100),
  files: z
    .array(z.object({ path: z.string().regex(pathForm), mode, sizeBytes: z.number().int().nonnegative() }))
    .max(filesMax),
});

/** Parents before their children, small files before large ones. */
export type FlatHead = z.infer<typeof headSchema>;

export interface FlatFile {
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** Its first byte in the content. */
  readonly at: number;
}

const isLarge = (sizeBytes: number): boolean => sizeBytes >= flatChunkBytes;

/** Lists the files below these names in a folder. Throws for anything that is not a plain file or a folder. */
export async function listFlat(directory: string, names: readonly string[]): Promise<FlatHead> {
  const [folders, files]: [FlatHead['folders'], FlatHead['files']] = [[], []];
  const visit = async (path: string): Promise<void> => {
    const facts = await lstat(join(directory, path));
    if (!pathForm.test(path)) throw new Error(`${JSON.stringify(path)} cannot be a part of a parcel`);
    if (facts.isDirectory()) {
      folders.push({ path, mode: facts.mode & 0o777 });
      for (const name of (await readdir(join(directory, path))).sort()) await visit(`${path}/${name}`);
    } else if (facts.isFile()) files.push({ path, mode: facts.mode & 0o777, sizeBytes: facts.size });
    else throw new Error(`${JSON.stringify(path)} is not a plain file`);
  };
  for (const name of names) await visit(name);
  if (files.length > filesMax) throw new SoulBoxError('limit_exceeded', `A parcel has at most ${filesMax} files.`);
  files.sort((one, other) => Number(isLarge(one.sizeBytes)) - Number(isLarge(other.sizeBytes)));
  return { format: 1, folders, files };
}

export function encodeHead(head: FlatHead): Buffer {
  return Buffer.from(JSON.stringify(head));
}

/** Throws `storage_damaged`. */
export function parseHead(bytes: Buffer): FlatHead {
  const parsed = headSchema.safeParse(JSON.parse(bytes.toString()));
  if (parsed.success) return parsed.data;
  throw new SoulBoxError('storage_damaged', 'The list of files of a parcel has an unknown form.');
}

export interface FlatPlaces {
  readonly files: readonly FlatFile[];
  /** Where the large files begin, or where all ends if there are none. */
  readonly smallEnd: number;
  readonly sizeBytes: number;
}

/** Where each file is in the content. */
export function placesOf(headBytes: number, { files }: FlatHead): FlatPlaces {
  let at = headBytes;
  let smallEnd = headBytes;
  const placed = files.map(({ path, mode: access, sizeBytes }) => {
    if (isLarge(sizeBytes)) at = Math.ceil(at / flatChunkBytes) * flatChunkBytes;
    const file = { path, mode: access, sizeBytes, at };
    at += sizeBytes;
    if (!isLarge(sizeBytes)) smallEnd = at;
    return file;
  });
  return { files: placed, smallEnd, sizeBytes: at };
}

const pieceBytes = 1024 * 1024;

/** The content of a tree. Throws if a file has another size than before. */
export async function* packFlat(directory: string, head: FlatHead, signal: AbortSignal): AsyncGenerator<Buffer> {
  const text = encodeHead(head);
  yield text;
  let written = text.length;
  for (const { path, sizeBytes, at } of placesOf(text.length, head).files) {
    if (at > written) yield Buffer.alloc(at - written);
    await using file = await open(join(directory, path), 'r');
    for (let from = 0; from < sizeBytes;) {
      signal.throwIfAborted();
      const length = Math.min(pieceBytes, sizeBytes - from);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, from);
      if (bytesRead !== length) throw new Error(`${path} became shorter while it was read`);
      from += bytesRead;
      yield buffer;
    }
    written = at + sizeBytes;
  }
}

/** Writes the files of a whole content below a folder. Throws `storage_damaged`. */
export async function unpackFlat(
  directory: string,
  headBytes: number,
  content: AsyncGenerator<Buffer, void, void>,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  const read = async (length: number): Promise<Buffer> => {
    if (rest.length === 0) rest = (await content.next()).value ?? Buffer.alloc(0);
    if (rest.length === 0) throw new SoulBoxError('storage_damaged', 'A parcel ends within a file.');
    const piece = rest.subarray(0, length);
    rest = rest.subarray(piece.length);
    return piece;
  };
  const pieces: Buffer[] = [];
  for (let left = headBytes; left > 0; left -= pieces.at(-1)?.length ?? 0) pieces.push(await read(left));
  const head = parseHead(Buffer.concat(pieces));
  for (const { path, mode: access } of head.folders) {
    await mkdir(join(directory, path), { recursive: true, mode: 0o700 });
    await chmod(join(directory, path), access);
  }
  let passed = headBytes;
  for (const { path, mode: access, sizeBytes, at } of placesOf(headBytes, head).files) {
    while (passed < at) passed += (await read(at - passed)).length;
    await mkdir(dirname(join(directory, path)), { recursive: true, mode: 0o700 });
    await using file = await open(join(directory, path), 'wx', access);
    for (const end = at + sizeBytes; passed < end;) {
      const piece = await read(end - passed);
      await file.writeFile(piece);
      passed += piece.length;
    }
  }
}
