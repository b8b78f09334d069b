import type { FileHandle } from 'node:fs/promises';
import type { ByteRange } from './parse-range.ts';

/** Large enough that the switch to the thread pool for each read costs little. */
const chunkBytes = 512 * 1024;

/** Reads a range of a file chunk by chunk. Throws if the file has become shorter than the range. */
export async function* readChunks(file: FileHandle, range: ByteRange): AsyncGenerator<Buffer, void> {
  for (let position = range.start; position < range.end;) {
    const chunk = await readAt(file, position, Math.min(chunkBytes, range.end - position));
    if (chunk.length === 0) throw new Error('The file became shorter while it was read.');
    position += chunk.length;
    yield chunk;
  }
}

/** Reads until the end, for files whose size is not known in advance. */
export async function* readToEnd(file: FileHandle): AsyncGenerator<Buffer, void> {
  for (let position = 0; ;) {
    const chunk = await readAt(file, position, chunkBytes);
    if (chunk.length === 0) return;
    position += chunk.length;
    yield chunk;
  }
}

export async function readAt(file: FileHandle, position: number, sizeBytes: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(sizeBytes), 0, sizeBytes, position);
  return buffer.subarray(0, bytesRead);
}
