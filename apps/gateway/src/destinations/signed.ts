import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { bodyTooLarge } from '@soulbox/contract/signed-url';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { signedUrlRefused, signerEnded, tooManyChecks } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import { findHeader, headerValues } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { limitBody } from '../forward/limit-body.ts';
import type { UncheckedSignature } from '../routing/signed-target.ts';
import type { Target } from '../routing/target.ts';
import type { CheckLimit } from './check-limit.ts';
import type { SignerWatch } from './signer-watch.ts';

export interface SignedContext {
  readonly checker: SignedUrlChecker;
  readonly limit: CheckLimit;
  readonly watch: SignerWatch;
  readonly logger: Logger;
}

/**
 * Asks the control plane about a signed request, then passes it to `allow`. Nothing is cached: a revoked key ends its
 * URLs at once, and requests in progress soon after. The body waits at the client meanwhile.
 */
export async function checkSigned(
  exchange: Exchange,
  request: { readonly target: Target & { kind: 'sandbox' | 'function' }; readonly signature: UncheckedSignature },
  { checker, limit, watch, logger }: SignedContext,
  allow: (exchange: Exchange) => void,
): Promise<void> {
  const { target, signature } = request;
  const { method, isPreflight, received, grant } = signature;
  using entered = limit.enter(exchange.remoteAddress);
  if (entered === undefined) {
    sendEdgeError(exchange, tooManyChecks);
    return;
  }
  try {
    await checker.check({
      ...{ method, isPreflight, target: received, authority: exchange.authority ?? '' },
      isSharedHost: target.origin === 'shared',
      destination:
        target.kind === 'sandbox'
          ? { kind: 'sandbox', sandboxId: target.sandboxId, port: target.port }
          : { kind: 'function', name: target.name },
      facts: factsOf(exchange),
    });
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'unauthorized') entered.noteWrong();
    logger.debug({ err: error }, 'signed URL was refused');
    sendEdgeError(exchange, signedUrlRefused(error));
    return;
  }
  if (exchange.closed) return;
  const watched = watch.watch(grant, () => endExchange(exchange));
  exchange.onClose(() => watched[Symbol.dispose]());
  const { maxBytes } = grant;
  const refuse = (): void => {
    if (maxBytes !== undefined) sendEdgeError(exchange, signedUrlRefused(bodyTooLarge(maxBytes)));
  };
  allow(maxBytes === undefined || !exchange.hasBody ? exchange : limitBody(exchange, maxBytes, refuse));
}

/** A request whose body is on its way is reset, so that the program never takes it for complete. */
function endExchange(exchange: Exchange): void {
  if (exchange.hasBody) exchange.reset();
  else sendEdgeError(exchange, signerEnded);
}

function factsOf({ headers, remoteAddress, upgrade }: Exchange) {
  const length = findHeader(headers, 'content-length');
  return {
    address: remoteAddress,
    contentTypes: headerValues(headers, 'content-type'),
    contentEncodings: headerValues(headers, 'content-encoding'),
    // Node's parser has accepted it as a number.
    announcedBytes: length === undefined ? undefined : Number(length),
    isUpgrade: upgrade !== undefined,
  };
}
