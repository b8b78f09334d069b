import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { openBlock, sealBlock } from '@soulbox/keyring/blocks';
import type { BlobStore } from '@soulbox/storage';
import { damaged } from '../damage.ts';
import { blockBytes } from '../digests/digest-job.ts';
import type { FileDigests } from '../manifest.ts';
import type { PartCipher } from '../digests/part-cipher.ts';
import { digestOfBlock, readPart } from '../read-part.ts';

/** The fastest level: a core needs about a second for each GiB. Higher levels save little for memory content. */
const level = 1;
const chunkBytes = 256 * 1024;

/** The place of a packed part, and the facts about its raw form. `what` names it in messages. */
export interface PackedPart {
  readonly what: string;
  readonly key: string;
  readonly raw: FileDigests;
  /** Of an encrypted checkpoint: encrypts the part, and its blob. */
  readonly ciphers: { readonly raw: PartCipher; readonly packed: PartCipher } | undefined;
}

export interface Packed {
  readonly sizeBytes: number;
  /** Nonce and tag of each block of an encrypted blob. */
  readonly seals: readonly string[];
  /** SHA-256 of the raw part. */
  readonly digest: string;
}

/** Compresses the part in this file into the blob as a stream. Throws `state_damaged` for an altered part. */
export async function packPart(blobs: BlobStore, part: PackedPart, path: string, signal: AbortSignal): Promise<Packed> {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const digest = createHash('sha256');
  const seals: string[] = [];
  const compressed = through(
    digested(readPart({ what: part.what, path, raw: part.raw, cipher: part.ciphers?.raw }, signal), digest),
    createZstdCompress({ chunkSize: chunkBytes, params }),
  );
  const { sizeBytes } = await blobs.put(part.key, sealed(compressed, part.ciphers?.packed, seals));
  return { sizeBytes, seals, digest: digest.digest('hex') };
}

async function* digested(blocks: AsyncIterable<Buffer>, digest: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const block of blocks) {
    digest.update(block);
    yield block;
  }
}

async function* sealed(
  chunks: AsyncIterable<Buffer>,
  cipher: PartCipher | undefined,
  seals: string[],
): AsyncGenerator<Buffer> {
  for await (const block of inBlocks(chunks, Infinity)) {
    if (cipher === undefined) yield block;
    else {
      const { bytes, seal } = sealBlock(cipher.key, cipher.placeOf(seals.length), block);
      seals.push(seal);
      yield bytes;
    }
  }
}

async function* opened(
  what: string,
  chunks: AsyncIterable<Buffer>,
  cipher: PartCipher,
  seals: readonly string[],
): AsyncGenerator<Buffer> {
  let index = 0;
  for await (const block of inBlocks(chunks, seals.length * blockBytes)) {
    const plain = openBlock(cipher.key, cipher.placeOf(index), block, seals[index]);
    if (plain === undefined) throw damaged(`${what} is altered in block ${index} of its archive`);
    index += 1;
    yield plain;
  }
  if (index !== seals.length) throw damaged(`${what} has a different size`);
}

/** Yields the raw blocks of a packed part. Each is checked first. Throws `state_damaged`. */
export async function* readBlocks(
  blobs: BlobStore,
  part: PackedPart,
  seals: readonly string[] = [],
): AsyncGenerator<Buffer> {
  const packed = await blobs.read(part.key);
  if (packed === undefined) throw damaged(`${part.what} is missing from the archive`);
  const { ciphers, raw, what } = part;
  const source = ciphers === undefined ? packed : opened(what, asBuffers(packed), ciphers.packed, seals);
  let block = 0;
  let sizeBytes = 0;
  try {
    for await (const content of inBlocks(
      through(source, createZstdDecompress({ chunkSize: chunkBytes })),
      raw.sizeBytes,
    )) {
      // The content of an encrypted blob is checked already.
      if (ciphers === undefined && (await digestOfBlock(content)) !== raw.digests[block])
        throw damaged(`${what} is altered in block ${block}`);
      block += 1;
      sizeBytes += content.length;
      yield content;
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code?.startsWith('Z') === true
      ? damaged(`${what} cannot be unpacked`, error)
      : error;
  }
  if (block !== raw.digests.length || sizeBytes !== raw.sizeBytes) throw damaged(`${what} has a different size`);
}

async function* asBuffers(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** Writes the raw part as a file and waits until it is on the disk. Gives the facts about that file. */
export async function unpackPart(
  blobs: BlobStore,
  part: PackedPart,
  seals: readonly string[] | undefined,
  path: string,
): Promise<FileDigests> {
  const digests: string[] = [];
  const file = await open(path, 'w', 0o600);
  try {
    for await (const block of readBlocks(blobs, part, seals)) {
      if (part.ciphers === undefined) await file.writeFile(block);
      else {
        // Under a new nonce.
        const cipher = part.ciphers.raw;
        const { bytes, seal } = sealBlock(cipher.key, cipher.placeOf(digests.length), block);
        digests.push(seal);
        await file.writeFile(bytes);
      }
    }
    // The mode that drivers use: a restore may read the files with other ids. Only root may enter their folder.
    if (part.ciphers === undefined) await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
  return part.ciphers === undefined ? part.raw : { sizeBytes: part.raw.sizeBytes, digests };
}

/** The output of a transform. When the reader stops, the source ends, too. */
function through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncIterable<Buffer> {
  // An error of either side reaches the reader of the transform.
  pipeline(source, transform).catch(() => undefined);
  return transform;
}

/** Cuts a stream into blocks. A stream longer than `sizeBytes` is cut off, and its last piece is refused. */
async function* inBlocks(chunks: AsyncIterable<Buffer>, sizeBytes: number): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  let total = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    length += chunk.length;
    total += chunk.length;
    while (length >= blockBytes) {
      const joined = Buffer.concat(waiting);
      yield joined.subarray(0, blockBytes);
      waiting = [joined.subarray(blockBytes)];
      length -= blockBytes;
    }
    // A small archive can unpack to any amount of data.
    if (total > sizeBytes) break;
  }
  if (length > 0) yield Buffer.concat(waiting);
}
