import { noServiceWorker } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isServiceWorkerScript, onSharedOrigin } from '../forward/shared-origin.ts';

/** Returns the exchange for a tenant's code, or undefined if the exchange was already answered. */
export function guardOrigin(
  exchange: Exchange,
  target: { readonly origin: 'own' | 'shared'; readonly saved?: boolean },
): Exchange | undefined {
  if (target.origin === 'own') return exchange;
  const guarded = onSharedOrigin(exchange, target);
  if (!isServiceWorkerScript(exchange)) return guarded;
  sendEdgeError(guarded, noServiceWorker);
  return undefined;
}
