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
  /** Clients that disconnect silently leave sessions behind. Above this number, the token's oldest one is closed. */
  readonly sessionsPerToken: number;
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
  openRequests: number;
  /** When its last request began or ended. */
  usedAtMs: number;
}

/** Of all tokens together. One more is refused: nobody loses a session because others open some. */
const sessionsMax = 256;
/** A session that is unused for so long is closed when others need its place. */
const idleMs = 3_600_000;
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

  /** Sessions that are about to be opened. */
  let opening = 0;

  const openTransport = async (token: string): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        const tokenDigest = digestOf(token);
        sessions.set(id, { transport, tokenDigest, openRequests: 0, usedAtMs: performance.now() });
        const own = [...sessions.values()].filter((session) => session.tokenDigest.equals(tokenDigest));
        if (own.length > options.sessionsPerToken) void own[0]?.transport.close();
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    transport.onclose = () => {
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
    };
    await options.openSession(token, transport);
    return transport;
  };

  const isFull = (): boolean => sessions.size + opening > sessionsMax;

  const closeIdle = async (): Promise<void> => {
    const sinceMs = performance.now() - idleMs;
    const idle = [...sessions.values()].filter((session) => session.openRequests === 0 && session.usedAtMs < sinceMs);
    await Promise.all(idle.map(async ({ transport }) => await transport.close()));
  };

  const open = async (token: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // First, because a client that sends its body slowly must not hold a place.
    const body = await readJson(request);
    opening += 1;
    try {
      if (isFull()) await closeIdle();
      if (isFull()) {
        refuse(response, 503, `The server has ${sessionsMax} open sessions. Close one, or try again later.`);
        return;
      }
      const transport = await openTransport(token);
      await transport.handleRequest(request, response, body);
      if (transport.sessionId === undefined) await transport.close();
    } finally {
      opening -= 1;
    }
  };

  const use = async (session: Session, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    session.openRequests += 1;
    session.usedAtMs = performance.now();
    response.once('close', () => {
      session.openRequests -= 1;
      session.usedAtMs = performance.now();
    });
    await session.transport.handleRequest(request, response, await readJson(request));
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
    else if (session !== undefined) await use(session, request, response);
    else if (typeof id === 'string') refuse(response, 404, 'The session was not found.');
    else if (request.method !== 'POST') refuse(response, 400, 'The Mcp-Session-Id header is missing.');
    else await open(token, request, response);
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
