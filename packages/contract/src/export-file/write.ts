import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { ZstdOptions } from 'node:zlib';
import type { ExportSignature } from './signature.ts';
import { exportMagic } from './signature.ts';

/** The fastest level: a core needs about a second for each GiB. */
const level = 1;
const chunkBytes = 256 * 1024;

/**
 * The bytes of a file: the signed manifest, then the blocks of data in the order of the manifest, compressed. Reads the
 * next block when the reader has taken the previous ones.
 */
export async function* writeExport(
  manifest: Uint8Array,
  signature: ExportSignature,
  blocks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield Buffer.concat([Buffer.from(exportMagic), Buffer.from(`${JSON.stringify(signature)}\n`), manifest]);
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  // Each write waits for the one before, so the end comes alone. Node would end the frame with the last block otherwise,
  // and then write an empty frame, of which its own decompression cannot read every cut of the stream.
  const compress = createZstdCompress({ chunkSize: chunkBytes, params, writableHighWaterMark: 1 } as ZstdOptions);
  // An error of either side reaches the reader of `compress`.
  pipeline(blocks, compress).catch(() => undefined);
  yield* compress as AsyncIterable<Uint8Array>;
}
