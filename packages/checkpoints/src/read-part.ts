import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { openBlock } from '@soulbox/keyring/blocks';
import { damaged } from './damage.ts';
import { blockBytes, blockLength } from './digests/digest-job.ts';
import type { PartCipher } from './digests/part-cipher.ts';
import type { FileDigests } from './manifest.ts';

/** A part in a file. `what` names it in messages. */
export interface ReadablePart {
  readonly what: string;
  readonly path: string;
  readonly raw: FileDigests;
  /** Undefined: it is not encrypted. */
  readonly cipher: PartCipher | undefined;
}

/** The clear blocks of a part, each checked first. Throws `state_damaged`. */
export async function* readPart(
  { what, path, raw, cipher }: ReadablePart,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (const [index, digest] of raw.digests.entries()) {
      signal?.throwIfAborted();
      const bytes = await readAt(file, index * blockBytes, blockLength(index, raw.sizeBytes));
      const block =
        cipher === undefined
          ? await checked(bytes, digest)
          : openBlock(cipher.key, cipher.placeOf(index), bytes, digest);
      if (block === undefined) throw damaged(`${what} is altered in block ${index}`);
      yield block;
    }
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function checked(bytes: Buffer, digest: string): Promise<Buffer | undefined> {
  return (await digestOfBlock(bytes)) === digest ? bytes : undefined;
}

/** SHA-256, in a thread pool of Node. On the main thread a block would delay the server by a millisecond. */
export async function digestOfBlock(block: Buffer): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(block))).toString('hex');
}
