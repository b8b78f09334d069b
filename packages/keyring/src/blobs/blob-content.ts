import { Readable } from 'node:stream';
import type { BlobStore, BlobStream } from '@soulbox/storage';
import { blockBytes, blockCipher, damagedBlob, headerBytes, isSealedHead, storedBlockBytes } from './blob-format.ts';
import type { BlobPlace } from './blob-format.ts';

/** Content as it is stored: the header and encrypted blocks. */
export async function* sealContent(
  place: BlobPlace,
  header: Buffer,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const cipher = blockCipher(place, header);
  yield header;
  let index = 0;
  for await (const { bytes, isLast } of cut(content, blockBytes)) yield cipher.seal(bytes, index++, isLast);
}

export interface ReadSealed extends BlobPlace {
  /** An older version may have stored it readable; then it is given as it is. */
  readonly mayBeReadable: boolean;
}

/**
 * The content of a blob; undefined if there is none. Its stream fails with `state_damaged` at the first block that is
 * not right. Nothing of that block or of a later one is given.
 */
export async function readSealed(
  blobs: Pick<BlobStore, 'read'>,
  { mayBeReadable, ...place }: ReadSealed,
): Promise<BlobStream | undefined> {
  const stored = await blobs.read(place.key);
  return stored === undefined ? undefined : streamOf(openContent(place, stored, mayBeReadable), stored);
}

async function* openContent(
  place: BlobPlace,
  stored: AsyncIterable<Uint8Array>,
  mayBeReadable: boolean,
): AsyncGenerator<Uint8Array> {
  const { head, rest } = await splitHead(stored);
  if (!isSealedHead(head)) {
    if (!mayBeReadable) throw damagedBlob(place);
    if (head.length > 0) yield head;
    yield* rest;
    return;
  }
  const cipher = blockCipher(place, head);
  let index = 0;
  for await (const { bytes, isLast } of cut(rest, storedBlockBytes)) {
    const plain = cipher.open(bytes, index++, isLast);
    if (plain.length > 0) yield plain;
  }
}

/** The part of a content that has been encrypted block by block; `first` is the number of the first block here. */
export async function* openBlocks(
  place: BlobPlace,
  header: Uint8Array,
  stored: AsyncIterable<Uint8Array>,
  { first, last }: { readonly first: number; readonly last: number },
): AsyncGenerator<Buffer> {
  const cipher = blockCipher(place, header);
  let index = first;
  for await (const { bytes } of cut(stored, storedBlockBytes)) {
    yield cipher.open(bytes, index, index === last);
    index++;
  }
}

/** A stream that closes its source, also when it is destroyed before anybody reads it. */
export function streamOf(content: AsyncIterable<Uint8Array>, source: BlobStream): BlobStream {
  return Readable.from(content, { objectMode: false }).once('close', () => {
    source.destroy();
  });
}

async function splitHead(
  stored: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
  const iterator = stored[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let surplus = Buffer.alloc(0);
  while (head.length < headerBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    const all = Buffer.concat([head, next.value]);
    head = all.subarray(0, headerBytes);
    surplus = all.subarray(headerBytes);
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    if (surplus.length > 0) yield surplus;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, rest: rest() };
}

/**
 * Content in blocks of `size` bytes. The last one is marked and may be shorter; it is empty only if there is no content.
 * A block is valid until the next one is asked for. Takes the same memory however small the pieces of the content are.
 */
async function* cut(
  content: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let block = Buffer.allocUnsafe(0);
  let filled = 0;
  for await (const piece of content) {
    for (let from = 0; from < piece.length;) {
      if (filled === size) {
        yield { bytes: block, isLast: false };
        filled = 0;
      }
      const taken = piece.subarray(from, from + size - filled);
      if (filled + taken.length > block.length) {
        const larger = Buffer.allocUnsafe(Math.min(size, Math.max(filled + taken.length, 2 * block.length)));
        larger.set(block.subarray(0, filled));
        block = larger;
      }
      block.set(taken, filled);
      filled += taken.length;
      from += taken.length;
    }
  }
  yield { bytes: block.subarray(0, filled), isLast: true };
}
