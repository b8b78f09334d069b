import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { hostName, textOf } from './intercepted-world.ts';
import type { InterceptedWorld } from './intercepted-world.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Opens a TLS connection as a program in the sandbox does. */
export async function openTls(
  world: InterceptedWorld,
  protocols: readonly string[] = ['http/1.1'],
): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: world.port,
    servername: hostName,
    ca: world.caPem,
    ALPNProtocols: [...protocols],
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** A request on a connection of its own. */
export async function ask(
  world: InterceptedWorld,
  { method = 'GET', path = '/', headers = {}, body }: Ask = {},
): Promise<Answer> {
  const socket = await openTls(world);
  const request = httpRequest({
    createConnection: () => socket,
    method,
    path,
    headers: { host: hostName, ...headers },
  });
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const text = await textOf(answer);
  socket.destroy();
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text };
}

export async function openHttp2(world: InterceptedWorld): Promise<ClientHttp2Session> {
  const socket = await openTls(world, ['h2', 'http/1.1']);
  return connectHttp2(`https://${hostName}`, { createConnection: () => socket });
}

export interface Http2Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
}

export async function askHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string,
): Promise<Http2Answer> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (found: IncomingHttpHeaders) => (trailers = found));
  const [found] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return { headers: found, trailers, body: text };
}

/** Writes raw bytes on a connection and returns all that comes back until it closes. */
export async function askRaw(world: InterceptedWorld, text: string): Promise<string> {
  const socket = await openTls(world);
  let seen = '';
  socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')));
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return seen;
}
