import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A provider that a test can let lie. The members are what it does at the next sign-in. */
export interface HostileProvider extends AsyncDisposable {
  readonly issuer: string;
  /** The issuer as it says, in its metadata and in ID tokens. */
  ownIssuer: string;
  /** Claims in addition to, or instead of, the right ones. */
  claims: Record<string, unknown>;
  /** Signs the ID token. */
  sign: (header: object, payload: object) => string;
  /** Answers a path in another way. True: it has. */
  intercept: (path: string, response: ServerResponse) => boolean;
  /** The nonce of the sign-in that goes on. A test takes it from the authorization URL. */
  nonce: string;
  /** The paths that were asked for. */
  readonly asked: string[];
  readonly key: KeyObject;
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A compact JWS, RS256. */
export function signed(key: KeyObject, header: object, payload: object): string {
  const text = `${part({ alg: 'RS256', kid: 'k1', ...header })}.${part(payload)}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** A JWS without a signature. */
export const unsigned = (payload: object): string => `${part({ alg: 'none' })}.${part(payload)}.`;

/** A JWS with the public key as an HMAC key. */
export function confused(publicPem: string, payload: object): string {
  const text = `${part({ alg: 'HS256', kid: 'k1' })}.${part(payload)}`;
  return `${text}.${createHmac('sha256', publicPem).update(text).digest('base64url')}`;
}

export async function startHostileProvider(): Promise<HostileProvider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const provider: HostileProvider = {
    ...{ issuer, ownIssuer: issuer, claims: {}, nonce: '', asked: [], key: privateKey },
    sign: (header, payload) => signed(privateKey, header, payload),
    intercept: () => false,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on('request', (request, response) => {
    request.resume();
    const path = new URL(request.url ?? '/', issuer).pathname;
    provider.asked.push(path);
    if (provider.intercept(path, response)) return;
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      ...{
        iss: provider.ownIssuer,
        aud: 'soulbox',
        sub: 'subject-ada',
        iat: now,
        exp: now + 300,
        nonce: provider.nonce,
      },
      ...{ email: 'ada@example.com', email_verified: true, ...provider.claims },
    };
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': {
        ...{ issuer: provider.ownIssuer, authorization_endpoint: `${issuer}/authorize` },
        token_endpoint: `${issuer}/token`,
        ...{ jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'], subject_types_supported: ['public'] },
        id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
      },
      '/jwks': { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }] },
      '/token': { access_token: 'a', token_type: 'Bearer', expires_in: 60, id_token: provider.sign({}, payload) },
    };
    const answer = answers[path];
    response.statusCode = answer === undefined ? 404 : 200;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer ?? {}));
  });
  return provider;
}
