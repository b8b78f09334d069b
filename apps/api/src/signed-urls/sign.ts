import { SoulBoxError } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import {
  areAddressRanges,
  isFilePrefix,
  isMediaType,
  isPathPrefix,
  signedTargetMax,
} from '@soulbox/contract/signed-url';
import type { Grant } from '@soulbox/contract/signed-url';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import { accessOfSigned, permit } from '../auth/permit.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { baseUrlOf } from '../http/base-url.ts';
import { errors, timeSchema, timeToWire } from '../http/schemas.ts';
import { checkOwner } from './check-owner.ts';
import { checkPort } from './file-requests.ts';
import { parseUrl } from '../signing/parse-url.ts';
import type { ParsedUrl } from '../signing/parse-url.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

const requestSchema = z
  .object({
    url: z
      .string()
      .min(1)
      .max(signedTargetMax)
      .describe('The URL as its users will call it, or a path at the address of the API.'),
    method: z.enum(methods).default('GET').describe('`GET` also allows `HEAD`.'),
    expiresInSeconds: z.int().min(1).default(3600).describe('At most `SOULBOX_SIGNED_URL_MAX_SECONDS`.'),
    once: z.boolean().default(false).describe('The URL can be used only once.'),
    prefix: z
      .boolean()
      .default(false)
      .describe(
        'The URL is valid for all paths that begin with its own, which must end with a slash. For a file of a sandbox, this is the parameter `path`.',
      ),
    maxBytes: z.int().min(1).max(1e14).optional().describe('Limit of the request body.'),
    contentType: z
      .string()
      .refine(isMediaType, 'must be a media type in lower case, such as image/png or image/*')
      .optional()
      .describe('Media type of the request body.'),
    addresses: z
      .array(z.string())
      .refine(areAddressRanges, 'must be 1 to 10 addresses or CIDR networks')
      .optional()
      .describe('Addresses of the clients that may use it.'),
  })
  .meta({ id: 'NewSignedURL' });

const signedSchema = z
  .object({ url: z.string(), expiresAt: timeSchema, keyID: z.string().describe('The signing key of the team.') })
  .meta({ id: 'SignedURL' });

export function addSignRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/signed-urls',
    {
      schema: {
        tags: ['signed URLs'],
        summary: 'Sign a URL that works without a key: of a port or a file of a sandbox, a function, or a log',
        body: requestSchema,
        response: { 201: signedSchema, ...errors(400, 403, 413, 415) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { team, keyId: signerId } = caller;
      const { url, method, expiresInSeconds, once, ...wanted } = request.body;
      const parsed = parseUrl(url, baseUrlOf(context, request));
      const { base, host, path, own, destination, servicePath } = parsed;
      const route = destination === undefined ? app.findSignable(method, path) : undefined;
      if (destination === undefined && route === undefined)
        throw new SoulBoxError('forbidden', `${method} ${path.slice(0, 100)} is no route that can be signed.`);
      permit(caller, accessOfSigned(destination, route));
      if (destination?.kind === 'sandbox')
        checkPort(destination.port, { method, path: servicePath, names: own.map(([name]) => name) });
      if (destination !== undefined) await checkOwner(context, caller, destination);
      const limits = limitsOf(parsed, method, wanted);
      const by = { teamId: team.id, signerId };
      const signed = await context.signing.sign(by, { method, host, path, own, expiresInSeconds, once, limits });
      if (signed.target.length > signedTargetMax)
        throw new SoulBoxError('bad_request', `The signed URL would be longer than ${signedTargetMax} characters.`);
      context.logger.info(
        { team: team.id, signingKeyId: signed.keyId, method, to: destination ?? 'api' },
        'URL signed',
      );
      const expiresAt = timeToWire(signed.expiresAt);
      return reply.code(201).send({ url: base + signed.target, expiresAt, keyID: signed.keyId });
    },
  );
}

type Limits = Pick<Grant, 'maxBytes' | 'contentType' | 'prefix' | 'filePrefix' | 'addresses'>;

function limitsOf(
  { own, path, destination }: ParsedUrl,
  method: string,
  wanted: Pick<z.infer<typeof requestSchema>, 'prefix' | 'maxBytes' | 'contentType' | 'addresses'>,
): Limits {
  const { prefix, maxBytes, contentType, addresses } = wanted;
  if (method === 'GET' && (maxBytes !== undefined || contentType !== undefined))
    throw new SoulBoxError('bad_request', 'A GET has no body, so it has no limit of size or type.');
  const limits = { maxBytes, contentType, addresses };
  if (!prefix) return limits;
  if (destination === undefined) throw new SoulBoxError('bad_request', 'A route of the API is not signed as a prefix.');
  if (destination.kind === 'function' || destination.port !== envdPort) {
    if (isPathPrefix(path)) return { ...limits, prefix: path };
    throw new SoulBoxError('bad_request', 'The path of a prefix must end with a slash.');
  }
  const filePrefix = own.find(([name]) => name === 'path')?.[1] ?? '';
  if (isFilePrefix(filePrefix)) return { ...limits, filePrefix };
  throw new SoulBoxError('bad_request', 'The `path` of a prefix must be an absolute folder that ends with a slash.');
}
