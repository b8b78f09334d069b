import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';

/** The globals of the context that the engine itself uses. */
export interface EdgeGlobals {
  readonly Request: new (url: string, init: object) => object;
  readonly ReadableStream: new (source: object) => object;
}

interface EdgeResponse {
  readonly status: number;
  readonly headers: { forEach(take: (value: string, name: string) => void): void; getSetCookie?(): string[] };
  readonly body: { getReader(): EdgeReader } | null;
}

interface EdgeReader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(reason?: unknown): Promise<void>;
}

const withoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** Converts a request of the supervisor to the context's own `Request`. */
export function toRequest(incoming: IncomingMessage, globals: EdgeGlobals): object {
  const method = incoming.method ?? 'GET';
  const scheme = incoming.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  const headers: [string, string][] = [];
  for (let index = 0; index < incoming.rawHeaders.length; index += 2)
    headers.push([incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '']);
  const init = {
    method,
    headers: headers.filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/i.test(name)),
  };
  const url = `${scheme}://${incoming.headers.host ?? 'localhost'}${incoming.url ?? '/'}`;
  if (withoutBody.has(method)) return new globals.Request(url, init);
  return new globals.Request(url, { ...init, body: toStream(incoming, globals), duplex: 'half' });
}

function toStream(incoming: IncomingMessage, globals: EdgeGlobals): object {
  const chunks = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  return new globals.ReadableStream({
    async pull(controller: { enqueue(chunk: Uint8Array): void; close(): void }) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(new Uint8Array(next.value));
    },
    cancel: () => {
      incoming.resume();
    },
  });
}

/** Sends the response of a handler. Throws a `TypeError` when the value is not a response. */
export async function sendResponse(given: unknown, response: ServerResponse, isHead: boolean): Promise<void> {
  if (!isResponse(given)) throw new TypeError('the handler did not return a Response');
  const cookies = given.headers.getSetCookie?.() ?? [];
  given.headers.forEach((value, name) => {
    if (name !== 'set-cookie' && name !== 'transfer-encoding' && name !== 'connection') response.setHeader(name, value);
  });
  if (cookies.length > 0) response.setHeader('set-cookie', cookies);
  response.writeHead(given.status);
  if (given.body === null || isHead) response.end();
  else await sendBody(given.body.getReader(), response);
}

async function sendBody(reader: EdgeReader, response: ServerResponse): Promise<void> {
  response.flushHeaders();
  const gone = once(response, 'close');
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (response.destroyed) {
        await reader.cancel();
        return;
      }
      if (!response.write(bytesOf(value))) await Promise.race([once(response, 'drain'), gone]);
    }
    response.end();
  } catch {
    // The stream of the code failed after the response had started.
    response.destroy();
  }
}

/** Streams of a context contain arrays of that context, which `instanceof` does not recognize. */
function bytesOf(value: unknown): Uint8Array | string {
  if (typeof value === 'string') return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError('a chunk of a body must be a Uint8Array');
}

function isResponse(value: unknown): value is EdgeResponse {
  return typeof value === 'object' && value !== null && 'status' in value && 'headers' in value && 'body' in value;
}
