import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EngineLifecycle } from '../engine/engine-lifecycle.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { upgradeHeaders } from './headers.ts';
import { countRequest } from './request-line.ts';

interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Passes the connection to the engine, which accepts or refuses the WebSocket. */
export async function passUpgrade(
  { request, socket, head }: Upgrade,
  lifecycle: EngineLifecycle,
  log: FunctionLog,
): Promise<void> {
  using _open = lifecycle.enter();
  const line = countRequest(request, log);
  socket.on('error', () => undefined);
  try {
    using use = await lifecycle.use();
    const upstream = connect(use.engine.requests);
    upstream.setNoDelay(true);
    upstream.write(requestHead(request));
    if (head.length > 0) upstream.write(head);
    upstream.pipe(socket);
    socket.pipe(upstream);
    // Without an answer, the engine has broken off.
    let status = 502;
    upstream.once('data', (chunk: Buffer) => (status = statusOf(chunk) ?? status));
    upstream.on('error', () => socket.destroy());
    await new Promise<void>((resolve) => {
      upstream.once('close', resolve);
      socket.once('close', resolve);
    });
    upstream.destroy();
    socket.destroy();
    line(status);
  } catch (thrown) {
    const body = JSON.stringify({ code: 503, message: thrown instanceof Error ? thrown.message : String(thrown) });
    socket.end(
      `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    line(503);
  }
}

/** The status of the engine's answer. Its first bytes are the status line (RFC 9112, section 4). */
function statusOf(firstBytes: Buffer): number | undefined {
  const digits = /^HTTP\/1\.1 (\d{3})/.exec(firstBytes.toString('latin1', 0, 12))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Node's parser has accepted and split the head. It is written in its original form, one header per line. */
function requestHead(request: IncomingMessage): string {
  const headers = upgradeHeaders(request);
  let head = `${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/1.1\r\n`;
  for (let index = 0; index < headers.length; index += 2)
    head += `${headers[index] ?? ''}: ${headers[index + 1] ?? ''}\r\n`;
  return `${head}\r\n`;
}
