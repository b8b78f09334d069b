import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { BlobStore } from '@soulbox/storage';
import { damaged } from '../damage.ts';
import { blockBytes } from '../digests/digest-job.ts';
import type { FileDigests } from '../manifest.ts';

/** The fastest level: a core needs about a second for each GiB. Higher levels save little for memory content. */
const level = 1;
const chunkBytes = 256 * 1024;

/** The place of a packed part, and the facts about its raw form. `what` names it in messages. */
export interface PackedPart {
  readonly what: string;
  readonly key: string;
  readonly raw: FileDigests;
}

/** Compresses the file into the blob as a stream. Gives the size of the blob. */
export async function packPart(
  blobs: BlobStore,
  { key }: PackedPart,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  const source = createReadStream(path, { highWaterMark: chunkBytes, signal });
  const packer = createZstdCompress({ chunkSize: chunkBytes, params: { [constants.ZSTD_c_compressionLevel]: level } });
  return (await blobs.put(key, through(source, packer))).sizeBytes;
}

/** Yields the raw blocks of a packed part. Each is checked first. Throws `state_damaged`. */
export async function* readBlocks(blobs: BlobStore, part: PackedPart): AsyncGenerator<Buffer> {
  const packed = await blobs.read(part.key);
  if (packed === undefined) throw damaged(`${part.what} is missing from the archive`);
  const chunks = through(packed, createZstdDecompress({ chunkSize: chunkBytes }));
  let block = 0;
  try {
    for await (const content of inBlocks(chunks, part.raw.sizeBytes)) {
      if ((await digest(content)) !== part.raw.digests[block])
        throw damaged(`${part.what} is altered in block ${block}`);
      block += 1;
      yield content;
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code?.startsWith('Z') === true
      ? damaged(`${part.what} cannot be unpacked`, error)
      : error;
  }
  if (block !== part.raw.digests.length) throw damaged(`${part.what} has a different size`);
}

/** Writes the raw part as a file and waits until it is on the disk. */
export async function unpackPart(blobs: BlobStore, part: PackedPart, path: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for await (const block of readBlocks(blobs, part)) await file.writeFile(block);
    // The mode that drivers use: a restore may read the files with other ids. Only root may enter their folder.
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The output of a transform. When the reader stops, the source ends, too. */
function through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncIterable<Buffer> {
  // An error of either side reaches the reader of the transform.
  pipeline(source, transform).catch(() => undefined);
  return transform;
}

/** Cuts a stream into blocks. A stream longer than `sizeBytes` is cut off, and its last piece has a wrong digest. */
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

/** Runs in a thread pool of Node. On the main thread a block would delay the server by a millisecond. */
async function digest(block: Buffer): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(block))).toString('hex');
}
