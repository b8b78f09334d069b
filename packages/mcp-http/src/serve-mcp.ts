import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { BodyError, readJson } from './read-json.ts';

export interface McpHttpOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The only path that is served, such as `/mcp`. */
  readonly path: string;
  /**
   * Whether a bearer token may open a session. Called once for each session; the further requests of a session must
   * show the same token.
   */
  accepts(token: string): boolean | Promise<boolean>;
  /** Makes the server of one session, which the given transport closes. */
  openSession(token: string, transport: Transport): Promise<void>;
  /** Text for the client after an error that is nobody's answer, and where its reason is. */
  readonly faultText: string;
  onFault(error: unknown): void;
}

export interface McpHttpServer {
  readonly port: number;
  /** Closes every session and connection. */
  close(): Promise<void>;
}

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  readonly tokenDigest: Buffer;
}

/** Clients that disconnect silently leave sessions behind. The oldest session is closed above this limit. */
const sessionsMax = 256;
/** RFC 6750 sets no limit. Tokens of providers have some KiB. */
const tokenLengthMax = 16 * 1024;
/** A client must send its request within this time. The answers of tools may take longer. */
const requestTimeoutMs = 300_000;

/**
 * Serves MCP's Streamable HTTP transport (specification 2025-06-18). Every request must show a bearer token, so a page in
 * a browser cannot use a server on this machine. There are no CORS headers for the same reason.
 */
export async function serveMcp(options: McpHttpOptions): Promise<McpHttpServer> {
  const sessions = new Map<string, Session>();

  const openTransport = async (token: string): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, { transport, tokenDigest: digestOf(token) });
        const [oldest] = sessions.keys();
        if (sessions.size > sessionsMax && oldest !== undefined) void sessions.get(oldest)?.transport.close();
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    transport.onclose = () => {
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
    };
    await options.openSession(token, transport);
    return transport;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const token = bearerOf(request.headers.authorization);
    if (token === undefined) {
      refuseToken(response);
      return;
    }
    const id = request.headers['mcp-session-id'];
    const session = typeof id === 'string' ? sessions.get(id) : undefined;
    const isAllowed =
      session === undefined ? await options.accepts(token) : timingSafeEqual(session.tokenDigest, digestOf(token));
    if (!isAllowed) refuseToken(response);
    else if (request.url?.split('?', 1)[0] !== options.path) refuse(response, 404, `Only ${options.path} is served.`);
    else if (session !== undefined) await session.transport.handleRequest(request, response, await readJson(request));
    else if (typeof id === 'string') refuse(response, 404, 'The session was not found.');
    else if (request.method !== 'POST') refuse(response, 400, 'The Mcp-Session-Id header is missing.');
    else {
      const body = await readJson(request);
      const transport = await openTransport(token);
      await transport.handleRequest(request, response, body);
      if (transport.sessionId === undefined) await transport.close();
    }
  };

  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else if (error instanceof BodyError) refuse(response, error.status, error.message);
      else {
        options.onFault(error);
        refuse(response, 500, options.faultText);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      await Promise.all([...sessions.values()].map(async ({ transport }) => await transport.close()));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The scheme is case-insensitive (RFC 9110 section 11.1). */
function bearerOf(header: string | undefined): string | undefined {
  const match = /^bearer ([^\s]+)$/i.exec((header ?? '').slice(0, tokenLengthMax + 'bearer '.length + 1));
  const token = match?.[1];
  return token === undefined || token.length > tokenLengthMax ? undefined : token;
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function refuseToken(response: ServerResponse): void {
  response.setHeader('www-authenticate', 'Bearer');
  refuse(response, 401, 'The bearer token is missing or wrong.');
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  // In the form of JSON-RPC, because clients show its message.
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32_000, message } }));
}
