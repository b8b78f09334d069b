import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import type { Client, Transport } from '@connectrpc/connect';
import type { Logger } from '@soulbox/base';
import { EgressService } from '@soulbox/contract/egress';
import type { SandboxPolicy } from '@soulbox/contract/egress';
import type { SandboxUsage } from './policy-feed.ts';

/** Delay between two attempts to reach the runner. Milliseconds. */
const retryMs = 25;
const confirmTimeoutMs = 5000;
/** How often counts that have changed are reported. Milliseconds. */
const reportDefaultMs = 5000;

/** What enforces the policies. Both calls are done when connections that may no longer exist have ended. */
export interface PolicyTaker {
  /** All policies; addresses that are not among them have none. */
  replace(policies: readonly SandboxPolicy[]): void;
  change(policies: readonly SandboxPolicy[], removed: readonly string[]): void;
  /** The counts that have changed since the last call, also those of sandboxes that were removed since then. */
  takeUsages(): readonly SandboxUsage[];
}

export interface PolicyWatch extends Disposable {
  /** Resolves once the first table has been taken. */
  readonly fed: Promise<void>;
  /** Reports counts that have changed now, and not only in a while. */
  report(): void;
}

/**
 * Follows the policies of the runner, also across its restarts. While the runner is away, the last policies stay in
 * effect.
 */
export function watchPolicies(options: {
  readonly transport: Transport;
  readonly taker: PolicyTaker;
  readonly logger: Logger;
  /** How often counts are reported. Milliseconds, default 5000. */
  readonly reportMs?: number;
}): PolicyWatch {
  const { transport, taker, logger, reportMs = reportDefaultMs } = options;
  const client = createClient(EgressService, transport);
  const stop = new AbortController();
  const fed = Promise.withResolvers<undefined>();
  const report = createReporter(client, taker, logger);
  const reporting = setInterval(() => report(), reportMs).unref();

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
      report(message.position);
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
  return {
    fed: fed.promise,
    report: () => report(),
    [Symbol.dispose]() {
      clearInterval(reporting);
      stop.abort();
    },
  };
}

/**
 * Confirms positions and reports counts, one call after the other, because an older count must not follow a newer one.
 * What was not received is sent again with the next call.
 */
function createReporter(
  client: Client<typeof EgressService>,
  taker: PolicyTaker,
  logger: Logger,
): (position?: bigint) => void {
  const unsent = new Map<string, SandboxUsage>();
  let reached = 0n;
  let sent = 0n;
  let isSending = false;
  const send = async (): Promise<void> => {
    for (;;) {
      for (const usage of taker.takeUsages()) unsent.set(usage.sandboxId, usage);
      if (sent === reached && unsent.size === 0) return;
      const usages = [...unsent.values()];
      const position = reached;
      const message = { position, usages: usages.map((usage) => ({ ...usage, bytes: BigInt(usage.bytes) })) };
      await client.confirmPolicies(message, { timeoutMs: confirmTimeoutMs });
      sent = position;
      for (const usage of usages) if (unsent.get(usage.sandboxId) === usage) unsent.delete(usage.sandboxId);
      if (sent === reached) return;
    }
  };
  return (position = reached) => {
    reached = position;
    if (isSending) return;
    isSending = true;
    send()
      .catch((err: unknown) => logger.debug({ err }, 'the runner did not hear that policies are in effect'))
      .finally(() => (isSending = false));
  };
}
