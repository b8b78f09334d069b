import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { findLimitFault, parseSignedRequest } from '@soulbox/contract/signed-url';
import type { RequestFacts } from '@soulbox/contract/signed-url';
import type { FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import { callerFromSigner } from './caller.ts';
import { permitRoute } from './permit.ts';
import type { Signer, SignerIds } from '../signing/signer.ts';

/**
 * Who signed the URL of a request. Undefined for a request without a signature.
 * `accepts` says whether the route is meant for signed URLs. Throws `unauthorized`, `bad_request`, `forbidden` and the
 * errors of limits. A one-time URL is used afterwards.
 */
export async function findSigner(
  request: FastifyRequest,
  context: ApiContext,
  { accepts }: { readonly accepts: boolean },
): Promise<(Signer & { readonly ids: SignerIds }) | undefined> {
  const { signing } = context;
  const parsed = parseSignedRequest({
    method: request.method,
    authority: apiAuthority(context, request.headers.host ?? ''),
    target: request.originalUrl,
  });
  if (parsed.kind === 'unsigned') return undefined;
  if (parsed.kind === 'refused') throw new SoulBoxError('bad_request', parsed.message);
  if (!accepts) throw new SoulBoxError('forbidden', 'This route cannot be called with a signed URL.');
  if (request.headers[headers.apiKey] !== undefined || request.headers.authorization !== undefined)
    throw new SoulBoxError('bad_request', 'A request must not have both a signed URL and an API key.');
  const signed = parsed.request;
  const names = signed.own.map(([name]) => name);
  if (new Set(names).size < names.length)
    throw new SoulBoxError('bad_request', 'A signed URL of the API must not have a parameter more than once.');
  const signer = await signing.verify(signed);
  const fault = findLimitFault(signed.grant, factsOf(request));
  if (fault !== undefined) throw fault;
  // What is refused must not use the URL, and must not be recorded as a use.
  permitRoute(request, callerFromSigner(signer));
  const sandboxId = (request.params as Readonly<Record<string, string>>)['sandboxID'];
  await signing.use(signed, signer, {
    target: sandboxId === undefined ? { kind: 'route', id: '' } : { kind: 'sandbox', id: sandboxId },
    source: { address: addressOf(request), userAgent: request.headers['user-agent'] ?? '' },
  });
  const { keyId, signerId } = signed.grant;
  return { ...signer, ids: { keyId, signerId } };
}

/**
 * The host under which clients know the API. With a configured address it is that of the address, because a proxy may
 * have replaced the `Host` header.
 */
export function apiAuthority({ config }: Pick<ApiContext, 'config'>, hostHeader: string): string {
  return config.apiUrl === '' ? hostHeader : new URL(config.apiUrl).host;
}

function factsOf(request: FastifyRequest): RequestFacts {
  const length = request.headers['content-length'];
  return {
    address: addressOf(request),
    contentTypes: valuesOf(request, 'content-type'),
    contentEncodings: valuesOf(request, 'content-encoding'),
    announcedBytes: length === undefined ? undefined : Number(length),
    isUpgrade: false,
  };
}

/** All values as sent: Node drops further values of these headers. */
function valuesOf({ raw }: FastifyRequest, name: string): string[] {
  return raw.headersDistinct[name] ?? [];
}
