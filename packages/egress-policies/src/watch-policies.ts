import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import type { Transport } from '@connectrpc/connect';
import type { Logger } from '@soulbox/base';
import { EgressService } from '@soulbox/contract/egress';
import type { SandboxPolicy } from '@soulbox/contract/egress';

/** Delay between two attempts to reach the runner. Milliseconds. */
const retryMs = 25;
const confirmTimeoutMs = 5000;

/** What enforces the policies. Both calls are done when connections that may no longer exist have ended. */
export interface PolicyTaker {
  /** All policies; addresses that are not among them have none. */
  replace(policies: readonly SandboxPolicy[]): void;
  change(policies: readonly SandboxPolicy[], removed: readonly string[]): void;
}

export interface PolicyWatch extends Disposable {
  /** Resolves once the first table has been taken. */
  readonly fed: Promise<void>;
}

/**
 * Follows the policies of the runner, also across its restarts. While the runner is away, the last policies stay in
 * effect.
 */
export function watchPolicies(options: {
  readonly transport: Transport;
  readonly taker: PolicyTaker;
  readonly logger: Logger;
}): PolicyWatch {
  const { transport, taker, logger } = options;
  const client = createClient(EgressService, transport);
  const stop = new AbortController();
  const fed = Promise.withResolvers<undefined>();

  const follow = async (): Promise<void> => {
    let table: SandboxPolicy[] | undefined = [];
    for await (const message of client.watchPolicies({}, { signal: stop.signal })) {
      if (table === undefined) taker.change(message.policies, message.removed);
      else {
        table.push(...message.policies);
        if (!message.isWhole) continue;
        taker.replace(table);
        table = undefined;
        fed.resolve(undefined);
        logger.debug({ position: String(message.position) }, 'policies of the runner are followed');
      }
      const { position } = message;
      client.confirmPolicies({ position }, { timeoutMs: confirmTimeoutMs }).catch((err: unknown) => {
        logger.debug({ err }, 'the runner did not hear that policies are in effect');
      });
    }
  };
  const followForEver = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await follow().catch((err: unknown) => {
        if (!stop.signal.aborted) logger.debug({ err }, 'the runner is away');
      });
      await sleep(retryMs);
    }
  };
  void followForEver();
  return { fed: fed.promise, [Symbol.dispose]: () => stop.abort() };
}
