import type { FastifyReply } from 'fastify';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';

/** Seconds. Far less than the time for which a key is published before it signs. */
const cacheSeconds = 300;

/**
 * The public keys of workload identities (RFC 7517), and where they are (OpenID Connect Discovery 1.0), for those who
 * check tokens. They need no key.
 */
export function addIdentityRoutes(app: ApiApp, context: ApiContext): void {
  app.get('/.well-known/jwks.json', { config: { auth: 'none' }, schema: { hide: true } }, async (_request, reply) => {
    return publish(reply, { keys: await context.identityTokens.publicKeys() });
  });

  app.get(
    '/.well-known/openid-configuration',
    { config: { auth: 'none' }, schema: { hide: true } },
    (request, reply) => {
      const issuer = context.config.apiUrl === '' ? `${request.protocol}://${request.host}` : context.config.apiUrl;
      return publish(reply, {
        issuer,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        id_token_signing_alg_values_supported: ['ES256'],
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'soulbox'],
      });
    },
  );
}

function publish(reply: FastifyReply, body: object): FastifyReply {
  return reply
    .header('cache-control', `public, max-age=${cacheSeconds}`)
    .type('application/json')
    .send(JSON.stringify(body));
}
