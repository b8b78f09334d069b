import { envdPort } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import { tooManySignatures, unknownToken } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { forwardToSandbox } from '../forward/sandbox.ts';
import { findShownToken } from '../routing/envd-request.ts';
import { parseSignedFile } from '../routing/signed-file.ts';
import type { SignedFile } from '../routing/signed-file.ts';
import type { SignatureSearch } from '../routing/signature-search.ts';
import { mayBeOld, whenFresh } from './fresh-route.ts';
import { guardOrigin } from './guard-origin.ts';
import type { TenantContext } from './named-sandbox.ts';

export interface UnnamedContext {
  readonly tenant: TenantContext;
  readonly signatures: SignatureSearch;
  readonly toApi: (exchange: Exchange, path: string) => void;
}

/**
 * Finds the envd that a request without a sandbox's name is for: by the token in the request, or by the signature in
 * its URL. A request with neither is for the API.
 */
export function toUnnamedSandbox(exchange: Exchange, path: string, context: UnnamedContext): void {
  const token = findShownToken(exchange, path);
  const signed = token === undefined ? parseSignedFile(exchange, path) : undefined;
  if (token !== undefined) toTokensSandbox(exchange, path, token, context);
  else if (signed === undefined) context.toApi(exchange, path);
  else {
    // Refreshes first: trying every token twice, before and after a refresh, would cost more.
    void whenFresh(context.tenant.router, exchange, () => toSignedFile(exchange, path, signed, context));
  }
}

function toTokensSandbox(
  exchange: Exchange,
  path: string,
  token: string,
  context: UnnamedContext,
  isFresh = false,
): void {
  const { router } = context.tenant;
  const route = router.findByAccessToken(token);
  if (!isFresh && mayBeOld(route))
    void whenFresh(router, exchange, () => toTokensSandbox(exchange, path, token, context, true));
  // In the form of a sandbox that is gone, because that is the usual case.
  else if (route === undefined) sendEdgeError(exchange, unknownToken);
  else toEnvd(exchange, path, route, context);
}

function toSignedFile(exchange: Exchange, path: string, signed: SignedFile, context: UnnamedContext): void {
  const route = context.signatures.find(signed, exchange.remoteAddress);
  // The text is that of envd.
  if (route === 'none') sendEdgeError(exchange, { code: 401, message: 'invalid signature' });
  else if (route === 'later') sendEdgeError(exchange, tooManySignatures);
  else toEnvd(exchange, path, route, context, { saved: true });
}

function toEnvd(
  exchange: Exchange,
  path: string,
  route: SandboxRoute,
  { tenant }: UnnamedContext,
  { saved = false } = {},
): void {
  const guarded = guardOrigin(exchange, { origin: 'shared', saved });
  if (guarded !== undefined) forwardToSandbox(guarded, { ...tenant, route, port: envdPort, path });
}
