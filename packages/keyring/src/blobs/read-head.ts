import { buffer } from 'node:stream/consumers';
import type { BlobStore } from '@soulbox/storage';
import { headerBytes } from './blob-format.ts';

/** The first bytes of a stored blob, as many as a header has. Empty if there is no such blob. */
export async function readHead(blobs: Pick<BlobStore, 'read'>, key: string): Promise<Buffer> {
  const stream = await blobs.read(key, { offset: 0, length: headerBytes });
  return stream === undefined ? Buffer.alloc(0) : await buffer(stream as AsyncIterable<Buffer>);
}
