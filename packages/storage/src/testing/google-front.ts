import { verify } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer, request as sendRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { removeTree, run } from '@soulbox/base';

const tokenHost = 'oauth2.googleapis.com';

/** What the endpoint of tokens answers in place of a token. */
interface TokenRefusal {
  readonly status: number;
  readonly error: string;
}

export interface GoogleFront extends AsyncDisposable {
  /** Of the store, by HTTPS. It answers 401 without a valid token. */
  readonly url: string;
  /** A proxy for HTTPS that leads to the endpoint of tokens, and nowhere else. */
  readonly proxyUrl: string;
  /** Of the authority that the client must trust. */
  readonly certificate: string;
  /** All tokens so far. The last one is valid, the others are not. */
  readonly tokens: readonly string[];
  /** The `authorization` of all requests to the store. */
  readonly authorizations: readonly (string | undefined)[];
  /** Whose signatures the endpoint of tokens takes from now on. In PEM form. */
  trust(publicKey: string): void;
  /** Of tokens from now on. The SDK renews each 5 minutes before its end. */
  liveFor(seconds: number): void;
  /** Undefined: tokens are given again. */
  refuse(refusal: TokenRefusal | undefined): void;
}

/**
 * HTTPS, tokens and authorization in front of a store of a test, as Google has them: the URL of the endpoint of tokens is
 * fixed in the SDK, so it is reached through a proxy.
 */
export async function startGoogleFront(upstream: string): Promise<GoogleFront> {
  const { key, certificate } = await makeCertificate();
  const [tokens, authorizations] = [[] as string[], [] as (string | undefined)[]];
  let publicKey = '';
  let refusal: TokenRefusal | undefined;
  let lifeSeconds = 3600;
  const answerToken = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const assertion = new URLSearchParams(await text(request)).get('assertion') ?? '';
    const refused = refusal ?? (isSignedBy(publicKey, assertion) ? undefined : { status: 400, error: 'invalid_grant' });
    if (refused !== undefined) {
      const body = { error: refused.error, error_description: 'No token is given.' };
      sendJson(response, refused.status, body);
      return;
    }
    tokens.push(`token-${tokens.length + 1}`);
    sendJson(response, 200, { access_token: tokens.at(-1), expires_in: lifeSeconds, token_type: 'Bearer' });
  };
  const front = createTlsServer({ key, cert: certificate }, (request, response) => {
    const handle = async (): Promise<void> => {
      const { authorization, host } = request.headers;
      if (host === tokenHost) {
        await answerToken(request, response);
        return;
      }
      authorizations.push(authorization);
      if (tokens.length > 0 && authorization === `Bearer ${tokens.at(-1)}`) {
        await forward(upstream, request, response);
        return;
      }
      request.resume();
      sendJson(response, 401, { error: { message: 'Invalid Credentials', errors: [{ reason: 'authError' }] } });
    };
    void handle().catch(() => response.destroy());
  });
  const url = `https://127.0.0.1:${await listen(front)}`;
  const proxy = createServer();
  // A server does not know connections that were upgraded.
  const tunnels = new Set<Duplex>();
  proxy.on('connect', ({ url: target }, client) => {
    if (target !== `${tokenHost}:443`) return void client.destroy();
    const server = connect(Number(new URL(url).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      server.pipe(client).pipe(server);
    });
    for (const socket of [client, server]) {
      tunnels.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => tunnels.delete(socket));
    }
  });
  const proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
  return {
    ...{ url, proxyUrl, certificate, tokens, authorizations },
    trust: (next) => void (publicKey = next),
    liveFor: (seconds) => void (lifeSeconds = seconds),
    refuse: (next) => void (refusal = next),
    async [Symbol.asyncDispose]() {
      for (const socket of tunnels) socket.destroy();
      for (const server of [front, proxy]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function makeCertificate(): Promise<{ readonly key: string; readonly certificate: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'google-front-'));
  try {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const names = ['-subj', '/CN=google-front', '-addext', `subjectAltName=IP:127.0.0.1,DNS:${tokenHost}`];
    await run('openssl', [...made, ...names, '-keyout', key, '-out', certificate]);
    return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
  } finally {
    await removeTree(folder);
  }
}

/** A token of RFC 7523: three parts in base64url, the last one the signature of the others. */
function isSignedBy(publicKey: string, assertion: string): boolean {
  const [head = '', claims = '', signature = ''] = assertion.split('.');
  const { aud, scope } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  if (aud !== `https://${tokenHost}/token` || !String(scope).includes('devstorage')) return false;
  return verify('sha256', Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, 'base64url'));
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function forward(upstream: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '', headers } = request;
  const outgoing = sendRequest(upstream + url, { method, headers, agent: false });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  await Promise.all([pipeline(request, outgoing), answered]);
  const { statusCode = 500, headers: found } = await answered;
  const { location } = found;
  // The store does not know that it is reached by HTTPS.
  const secure = location === undefined ? {} : { location: location.replace('http:', 'https:') };
  response.writeHead(statusCode, { ...found, ...secure });
  await pipeline(await answered, response);
}
