import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import { runnerAway } from '../errors/edge-error.ts';
import { sendEdgeError } from '../errors/send-edge-error.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** The table learns of a running sandbox before any client does, so only other entries may be outdated. */
export function mayBeOld(route: SandboxRoute | undefined): boolean {
  return route?.state !== 'running' || route.waitsForRoom;
}

/**
 * An entry that is missing or not usable may have just changed. So the owner of the sandboxes is asked before a
 * refusal.
 */
export async function whenFresh(router: SandboxRouter, exchange: Exchange, act: () => void): Promise<void> {
  try {
    await router.refresh();
  } catch {
    sendEdgeError(exchange, runnerAway);
    return;
  }
  if (!exchange.closed) act();
}
