import type { IncomingMessage, ServerResponse } from 'node:http';
import { createGunzip } from 'node:zlib';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Context } from '../context.ts';
import { namingPath } from '../filesystem/path-error.ts';
import { bodyChunks } from '../server/body-chunks.ts';
import { sendJson } from '../server/send.ts';
import { userByName } from '../users/caller.ts';
import { authorizeFileRequest } from './authorize.ts';
import { locateFile } from './locate-file.ts';
import { parseMetadata } from './metadata.ts';
import { throughStream } from './through-stream.ts';
import type { WrittenFile } from './write-file.ts';
import { writeFileFrom } from './write-file.ts';

/** POST /files: one file as octet-stream, or several as multipart/form-data. */
export async function handleUpload(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const query = url.searchParams;
  authorizeFileRequest(context.settings, request.headers, query, 'write');
  const username = query.get('username') ?? '';
  userByName(context.users, context.settings, username);
  const metadata = parseMetadata(request.headers);
  const written = await receive(context, request, { username, path: query.get('path'), metadata });
  context.log.record('info', 'files', 'Files written', { count: String(written.length) });
  sendJson(response, 200, written);
}

interface UploadTarget {
  readonly username: string;
  /** Null: each part's file name is its path. */
  readonly path: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

async function receive(context: Context, request: IncomingMessage, target: UploadTarget): Promise<WrittenFile[]> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  const body = decodedBody(request);
  const write = async (path: string, chunks: AsyncIterable<Uint8Array>): Promise<WrittenFile> => {
    const located = locateFile(context, target.username, path);
    return await namingPath(
      located.path,
      async () => await writeFileFrom(located.path, located.user, chunks, target.metadata),
    );
  };
  if (type?.startsWith('multipart/') === true) {
    const resolve = (path: string): string => locateFile(context, target.username, path).path;
    // Loaded when it is needed: many sandboxes never receive a form.
    const { writeMultipart } = await import('./multipart.ts');
    return await writeMultipart(request.headers, body, { path: target.path ?? undefined, resolve, write });
  }
  if (type !== 'application/octet-stream') {
    throw new SoulBoxError(
      'bad_request',
      `unsupported content type '${type ?? ''}': use multipart/form-data or application/octet-stream`,
    );
  }
  if (target.path === null || target.path === '') {
    throw new SoulBoxError('bad_request', 'the path query parameter is required for application/octet-stream');
  }
  return [await write(target.path, body)];
}

/** The body with its `Content-Encoding` decoded. */
function decodedBody(request: IncomingMessage): AsyncIterable<Uint8Array> {
  const coding = (request.headers['content-encoding'] ?? '').trim().toLowerCase();
  const chunks = bodyChunks(request);
  if (coding === '' || coding === 'identity') return chunks;
  if (coding !== 'gzip') throw new SoulBoxError('bad_request', `unsupported content encoding '${coding}': use gzip`);
  return gunzip(chunks);
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield* throughStream(chunks, createGunzip());
  } catch (error) {
    if (isNodeError(error) && error.code?.startsWith('Z_') === true) {
      throw new SoulBoxError('bad_request', 'The request body is not valid gzip.', { cause: error });
    }
    throw error;
  }
}
