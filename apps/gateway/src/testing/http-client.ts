import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientSessionOptions, OutgoingHttpHeaders as Http2Headers, SecureClientSessionOptions } from 'node:http2';
import { buffer, text } from 'node:stream/consumers';
import { connect } from 'node:net';
import { once } from 'node:events';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  trailers: NodeJS.Dict<string | string[]>;
  body: string;
}

/** Sends one HTTP/1.1 request on a connection of its own. Rejects if the answer breaks. */
export async function ask(
  url: string,
  options: { method?: string; headers?: OutgoingHttpHeaders; body?: string | Buffer; agent?: Agent } = {},
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: options.method ?? 'GET', headers: options.headers ?? {}, agent: options.agent ?? false },
      (incoming) => {
        text(incoming).then((body) => {
          const { statusCode = 0, headers, rawHeaders, trailers } = incoming;
          resolve({ status: statusCode, headers, rawHeaders, trailers, body });
        }, reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

/** Sends one HTTP/2 request on a connection of its own. Rejects if the stream is reset. */
export async function askHttp2(
  origin: string,
  headers: Http2Headers,
  options: { body?: string | Buffer; connect?: ClientSessionOptions | SecureClientSessionOptions } = {},
): Promise<{ status: number; headers: Record<string, unknown>; trailers: Record<string, unknown>; body: string }> {
  const session = connectHttp2(origin, options.connect ?? {});
  const failed = once(session, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => undefined);
  try {
    const stream = session.request(headers, { endStream: options.body === undefined });
    let trailers: Record<string, unknown> = {};
    stream.on('trailers', (received: Record<string, unknown>) => {
      trailers = received;
    });
    const head = once(stream, 'response') as Promise<[Record<string, unknown>]>;
    if (options.body !== undefined) stream.end(options.body);
    const [received] = await Promise.race([head, failed]);
    const body = (await buffer(stream)).toString();
    return { status: Number(received[':status']), headers: received, trailers, body };
  } finally {
    session.destroy();
  }
}

/** Sends raw bytes and returns everything received until the server closes or `waitMs` has passed. */
export async function askRaw(port: number, bytes: string | Buffer, waitMs = 2000): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const timer = setTimeout(() => socket.destroy(), waitMs);
  await closed;
  clearTimeout(timer);
  return Buffer.concat(received).toString('latin1');
}
