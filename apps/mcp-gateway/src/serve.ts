import { randomUUID, timingSafeEqual, createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { gatewayPath } from './config.ts';
import { createMergedServer } from './merged-server.ts';
import type { Upstream } from './upstream.ts';

/** Clients that disconnect silently leave sessions behind. The oldest session is closed above this limit. */
const sessionsMax = 256;
/** A tool call may contain a file. */
const bodyBytesMax = 32 * 1024 * 1024;

/** MCP's Streamable HTTP transport (specification 2025-06-18) for all servers together. Callers must show the token. */
export async function serve(
  upstreams: readonly Upstream[],
  { token, port, host }: { token: string; port: number; host: string },
): Promise<HttpServer> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();

  const openSession = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, transport);
        const [oldest] = sessions.keys();
        if (sessions.size > sessionsMax && oldest !== undefined) void sessions.get(oldest)?.close();
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    transport.onclose = () => {
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
    };
    await createMergedServer(upstreams).connect(transport);
    return transport;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isToken(request.headers.authorization, token)) {
      response.setHeader('www-authenticate', 'Bearer');
      refuse(response, 401, 'The bearer token is missing or wrong.');
      return;
    }
    if (request.url?.split('?', 1)[0] !== gatewayPath) {
      refuse(response, 404, `Only ${gatewayPath} is served.`);
      return;
    }
    const id = request.headers['mcp-session-id'];
    if (typeof id === 'string') {
      const session = sessions.get(id);
      if (session === undefined) refuse(response, 404, 'The session was not found.');
      else await session.handleRequest(request, response, await readBody(request));
      return;
    }
    if (request.method !== 'POST') {
      refuse(response, 400, 'The Mcp-Session-Id header is missing.');
      return;
    }
    const body = await readBody(request);
    const transport = await openSession();
    await transport.handleRequest(request, response, body);
    if (transport.sessionId === undefined) await transport.close();
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else if (error instanceof BodyError) refuse(response, error.status, error.message);
      else {
        process.stderr.write(`${String(error)}\n`);
        refuse(response, 500, 'The gateway failed. See its log for the reason.');
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

function isToken(header: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${token}`));
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  // In the form of JSON-RPC, because clients show its message.
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32_000, message } }));
}

class BodyError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Undefined for a request without a body. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  if (request.method !== 'POST') return undefined;
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > bodyBytesMax) throw new BodyError(413, `A message can have at most ${String(bodyBytesMax)} bytes.`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    throw new BodyError(400, 'The request body is not valid JSON.');
  }
}
