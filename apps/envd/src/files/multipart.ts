import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import type { BusboyInstance } from '@fastify/busboy';
import { SoulBoxError } from '@soulbox/base';
import type { WrittenFile } from './write-file.ts';

/** Maximum number of parts of any kind in one request. */
const maxParts = 10_000;
const maxHeaderPairs = 100;

interface MultipartTarget {
  /** The path of the single file, from the query. Undefined: each part's file name is its path. */
  readonly path: string | undefined;
  /** Makes a path absolute, to detect two parts with the same path. */
  resolve(path: string): string;
  write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<WrittenFile>;
}

/**
 * Writes the parts named `file` as they arrive, one after the other, and ignores other parts. Throws bad_request for a
 * malformed body or two parts with one path, and the errors of `write`.
 */
export async function writeMultipart(
  headers: IncomingHttpHeaders,
  body: AsyncIterable<Uint8Array>,
  target: MultipartTarget,
): Promise<WrittenFile[]> {
  const parser = createParser(headers);
  const seen = new Set<string>();
  const writes: Promise<WrittenFile>[] = [];
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on('finish', resolve);
    parser.on('error', (error: Error) => reject(malformed(error)));
    parser.on('partsLimit', () =>
      reject(new SoulBoxError('bad_request', `A request can have at most ${maxParts} parts.`)),
    );
    parser.on('file', (field: string, stream: Readable, filename: string | undefined) => {
      stream.on('error', () => undefined);
      if (field !== 'file') {
        stream.resume();
        return;
      }
      const write = receivePart(stream, target.path ?? filename ?? '', seen, target);
      writes.push(write);
      write.catch(reject);
    });
  });
  parsed.catch(() => undefined);
  await Promise.race([feed(parser, body, parsed), parsed]);
  await parsed;
  return await Promise.all(writes);
}

async function receivePart(
  stream: Readable,
  path: string,
  seen: Set<string>,
  target: MultipartTarget,
): Promise<WrittenFile> {
  if (path === '')
    throw new SoulBoxError('bad_request', 'A part named "file" needs a file name, or the query needs a path.');
  const absolute = target.resolve(path);
  if (seen.has(absolute))
    throw new SoulBoxError('bad_request', `you cannot upload multiple files to the same path '${path}'`);
  seen.add(absolute);
  return await target.write(path, partChunks(stream));
}

async function* partChunks(stream: Readable): AsyncGenerator<Uint8Array, void> {
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw malformed(error);
  }
}

function createParser(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({
      // All kinds of multipart have the same form (RFC 2046, section 5.1), but the parser only knows one name.
      headers: { ...headers, 'content-type': (headers['content-type'] ?? '').replace(/^[^;]*/, 'multipart/form-data') },
      // The official clients send the complete path as the file name.
      preservePath: true,
      highWaterMark: 1024 * 1024,
      fileHwm: 1024 * 1024,
      // By default a part without a file name is a field, which would be dropped.
      isPartAFile: () => true,
      limits: { parts: maxParts, headerPairs: maxHeaderPairs },
    });
  } catch (error) {
    throw malformed(error);
  }
}

/** Passes the body to the parser at the speed of the disk. Stops when parsing has failed. */
async function feed(parser: BusboyInstance, body: AsyncIterable<Uint8Array>, failed: Promise<void>): Promise<void> {
  for await (const chunk of body) {
    if (!parser.write(chunk)) {
      await Promise.race([new Promise<void>((resolve) => parser.once('drain', () => resolve())), failed]);
    }
  }
  parser.end();
}

function malformed(error: unknown): SoulBoxError {
  if (error instanceof SoulBoxError) return error;
  return new SoulBoxError('bad_request', 'The multipart body is not valid.', { cause: error });
}
