import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { posix } from 'node:path';
import { constants as zlib, createGzip } from 'node:zlib';
import type { Context } from '../context.ts';
import { namingPath } from '../filesystem/path-error.ts';
import { sendChunks } from '../server/send-chunks.ts';
import { sendEmpty, sendJson } from '../server/send.ts';
import { authorizeFileRequest } from './authorize.ts';
import { chooseEncoding } from './choose-encoding.ts';
import { checkConditions, rangeAllowed } from './conditional.ts';
import { contentDisposition, contentType, sniffBytes } from './content-type.ts';
import { locateFile } from './locate-file.ts';
import { openRegular } from '../sys/open-regular.ts';
import { parseRange } from './parse-range.ts';
import { readAt, readChunks, readToEnd } from './read-chunks.ts';
import { throughStream } from './through-stream.ts';

/** GET and HEAD /files: the bytes of one file, complete or a range, plain or gzipped. */
export async function handleDownload(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const query = url.searchParams;
  authorizeFileRequest(context.settings, request.headers, query, 'read');
  const { path } = locateFile(context, query.get('username') ?? '', query.get('path') ?? '');
  const { file, stats } = await namingPath(path, async () => await openRegular(path, constants.O_RDONLY));
  try {
    await respond(request, response, { path, file, stats });
  } finally {
    await file.close();
  }
}

interface OpenFile {
  readonly path: string;
  readonly file: FileHandle;
  readonly stats: Stats;
}

async function respond(request: IncomingMessage, response: ServerResponse, open: OpenFile): Promise<void> {
  const { path, file, stats } = open;
  response.setHeader('vary', 'Accept-Encoding');
  response.setHeader('last-modified', stats.mtime.toUTCString());
  response.setHeader('accept-ranges', 'bytes');
  const condition = checkConditions(request.headers, stats.mtimeMs);
  if (condition !== 'send') {
    sendEmpty(response, condition === 'not_modified' ? 304 : 412);
    return;
  }
  const name = posix.basename(path);
  const firstBytes = await namingPath(path, async () => await readAt(file, 0, sniffBytes));
  response.setHeader('content-type', await contentType(name, firstBytes));
  response.setHeader('content-disposition', contentDisposition(name));
  // Files in /proc report size 0 although they have content. Their size is only known after reading.
  if (stats.size === 0 && firstBytes.length > 0) await sendWhole(request, response, readToEnd(file), undefined);
  else await sendSized(request, response, open);
}

async function sendSized(request: IncomingMessage, response: ServerResponse, { file, stats }: OpenFile): Promise<void> {
  const { size } = stats;
  const range = rangeAllowed(request.headers, stats.mtimeMs) ? parseRange(request.headers.range, size) : undefined;
  if (range === undefined) {
    await sendWhole(request, response, readChunks(file, { start: 0, end: size }), size);
    return;
  }
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${size}`);
    sendJson(response, 416, { code: 416, message: 'the range lies outside the file' });
    return;
  }
  response.setHeader('content-range', `bytes ${range.start}-${range.end - 1}/${size}`);
  response.writeHead(206, { 'content-length': range.end - range.start });
  await sendBody(request, response, readChunks(file, range));
}

/** `sizeBytes` is undefined if the size is only known after reading. */
async function sendWhole(
  request: IncomingMessage,
  response: ServerResponse,
  chunks: AsyncIterable<Buffer>,
  sizeBytes: number | undefined,
): Promise<void> {
  const encoding = chooseEncoding(request.headers['accept-encoding']);
  if (encoding === undefined) {
    sendJson(response, 406, { code: 406, message: 'no acceptable encoding: only gzip and identity are offered' });
    return;
  }
  if (encoding === 'gzip') {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    await sendBody(request, response, throughStream(chunks, createGzip({ level: zlib.Z_BEST_SPEED })));
    return;
  }
  response.writeHead(200, sizeBytes === undefined ? {} : { 'content-length': sizeBytes });
  await sendBody(request, response, chunks);
}

/** HEAD receives only the headers of GET. */
async function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (request.method === 'HEAD') response.end();
  else await sendChunks(response, chunks);
}
