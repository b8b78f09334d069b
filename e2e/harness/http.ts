import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { apiKey, apiUrl, server } from './server.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Sends one raw request to the gateway. Unlike `fetch` it sends any Host header and any path unchanged. */
export async function ask({ method = 'GET', path, headers = {}, body }: Ask): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port: server.port, method, path, headers, agent: false });
    outgoing.setTimeout(30_000, () => outgoing.destroy(new Error('no answer within 30 s')));
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    outgoing.end(body);
  });
}

/**
 * Announces a body of `announcedBytes` and sends only `sentBytes` of it. Returns the status of the response, which must
 * come without the rest of the body. Throws without a response.
 */
export async function askWithoutBody(
  path: string,
  headers: Readonly<Record<string, string>>,
  announcedBytes: number,
  sentBytes: number,
): Promise<number> {
  const outgoing = request({
    ...{ host: '127.0.0.1', port: server.port, method: 'POST', path, agent: false },
    headers: { ...headers, 'content-length': String(announcedBytes) },
  });
  try {
    return await new Promise((resolve, reject) => {
      outgoing.setTimeout(20_000, () => reject(new Error('no answer within 20 s')));
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      outgoing.write(Buffer.alloc(sentBytes, 0x20));
    });
  } finally {
    outgoing.on('error', () => undefined);
    outgoing.destroy();
  }
}

/** Sends a request to the control plane with the key of the default team, JSON both ways. */
export async function askApi(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: unknown; headers: Headers }> {
  const response = await fetch(`${apiUrl}${path}`, {
    method,
    headers: {
      'x-api-key': apiKey,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, json: text === '' ? undefined : parse(text), headers: response.headers };
}

/** The two ways to address a port of a sandbox, as headers for `ask`. */
export const routes = {
  host: (sandboxId: string, port: number) => ({ host: `${String(port)}-${sandboxId}.soulbox.localhost` }),
  headers: (sandboxId: string, port: number) => ({
    'e2b-sandbox-id': sandboxId,
    'e2b-sandbox-port': String(port),
  }),
} as const;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
