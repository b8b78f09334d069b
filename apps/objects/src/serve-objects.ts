import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { ArrivingValue } from '@soulbox/cache';
import { httpStatusFromError } from '@soulbox/contract';
import type { ObjectStore } from '@soulbox/storage/objects';
import { objectMaxBytes } from '@soulbox/vault';
import { getObject } from './get-object.ts';
import { isImmutable } from './object-cache.ts';
import type { ObjectCache } from './object-cache.ts';

export interface ObjectServerOptions {
  readonly store: ObjectStore;
  /** Absent: every read goes to the store. */
  readonly cache?: ObjectCache | undefined;
  /** A Unix socket that is already bound, or its path. */
  readonly place: { readonly fd: number } | { readonly path: string };
  readonly logger: Logger;
}

/** A connection without a byte for this time is closed. The store has its own limits, which are shorter. Milliseconds. */
const silenceMs = 900_000;
/** How long open calls may continue when the process stops. Milliseconds. */
const drainMs = 3000;

interface Call {
  readonly store: ObjectStore;
  readonly cache: ObjectCache | undefined;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborted when the caller leaves. */
  readonly signal: AbortSignal;
}

const operations: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  'GET /object': read,
  'PUT /object': write,
  'DELETE /object': remove,
  'GET /list': list,
  'GET /cache': showCache,
};

/**
 * Serves the object store over HTTP on a Unix socket, for the runner and the control plane: objects of 8 MiB at most,
 * which they have encrypted (decision 069).
 */
export async function serveObjects({ store, cache, place, logger }: ObjectServerOptions): Promise<AsyncDisposable> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = URL.parse(request.url ?? '', 'http://objects');
    const operation = operations[`${request.method} ${url?.pathname}`];
    if (url === null || operation === undefined) throw new SoulBoxError('route_not_found', 'There is no such call.');
    const left = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) left.abort(new Error('The caller has left.'));
    });
    await operation({ store, cache, query: url.searchParams, request, response, signal: left.signal });
  };
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 75_000 }, (request, response) => {
    serve(request, response).catch((thrown: unknown) => answerError(thrown, request, response, logger));
  });
  server.setTimeout(silenceMs);
  server.listen(place);
  await once(server, 'listening');
  // A failed accept (too many open files) must not end the process.
  server.on('error', (err) => logger.error({ err }, 'a connection could not be accepted'));
  return {
    async [Symbol.asyncDispose]() {
      const late = setTimeout(() => server.closeAllConnections(), drainMs);
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
      clearTimeout(late);
    },
  };
}

function answerError(thrown: unknown, request: IncomingMessage, response: ServerResponse, logger: Logger): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const error = errorFromUnknown(thrown);
  const { reason, message } = error;
  if (reason === 'internal') logger.error({ err: thrown }, 'a call of the object store failed');
  // A connection that is closed before all is read may lose the answer.
  request.resume();
  response.writeHead(httpStatusFromError(error), { 'content-type': 'application/json' });
  response.end(JSON.stringify({ reason, message }));
}

function keyOf({ query }: Call): string {
  const key = query.get('key');
  if (key !== null) return key;
  throw new SoulBoxError('bad_request', 'The call names no object.');
}

async function read(call: Call): Promise<void> {
  const { store, cache, response, signal } = call;
  const key = keyOf(call);
  if (cache !== undefined && isImmutable(key)) {
    await readCached(cache, key, call);
    return;
  }
  const { info, body } = await getObject(store, key, signal);
  response.writeHead(200, { 'content-length': info.sizeBytes, 'x-version': encodeURIComponent(info.version) });
  await pipeline(body, response);
}

async function readCached(cache: ObjectCache, key: string, { query, response, signal }: Call): Promise<void> {
  // No condition can be on the version of an object that is never replaced.
  const begin = (sizeBytes: number): unknown =>
    response.writeHead(200, { 'content-length': sizeBytes, 'x-version': 'immutable' });
  let sending: Promise<void> | undefined;
  const onArrival = (value: ArrivingValue): void => {
    begin(value.sizeBytes);
    sending = pipeline(value.pieces(), response);
    // It is awaited below, after the value.
    sending.catch(() => undefined);
  };
  const bytes = await cache.get(key, { signal, fresh: query.get('fresh') === 'true', onArrival });
  if (sending !== undefined) {
    await sending;
    return;
  }
  begin(bytes.length);
  response.end(bytes);
}

async function write(call: Call): Promise<void> {
  const { store, request, response, signal } = call;
  const sizeBytes = Number(request.headers['content-length']);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > objectMaxBytes)
    throw new SoulBoxError('bad_request', `An object has at most ${objectMaxBytes} bytes, and its length is given.`);
  // As a whole, because it is sent again while the store is away.
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  await store.put(keyOf(call), Buffer.concat(chunks), { signal, sizeBytes, condition: conditionOf(request) });
  response.writeHead(204).end();
}

function conditionOf({ headers }: IncomingMessage): 'absent' | { version: string } | undefined {
  const version = headers['x-version'];
  if (typeof version === 'string') return { version: decodeURIComponent(version) };
  return headers['x-condition'] === 'absent' ? 'absent' : undefined;
}

async function remove(call: Call): Promise<void> {
  const key = keyOf(call);
  await call.store.delete(key, { signal: call.signal });
  if (isImmutable(key)) await call.cache?.delete(key);
  call.response.writeHead(204).end();
}

async function list({ store, query, response, signal }: Call): Promise<void> {
  const { objects, cursor } = await store.list({
    prefix: query.get('prefix') ?? '',
    cursor: query.get('cursor') ?? undefined,
    signal,
  });
  const listed = objects.map(({ key, modifiedAt }) => ({ key, modifiedAtMs: modifiedAt.getTime() }));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ objects: listed, cursor }));
}

async function showCache({ cache, response }: Call): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ cache: cache?.figures() }));
  await Promise.resolve();
}
