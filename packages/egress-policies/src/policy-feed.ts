import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SandboxPolicySchema, WatchPoliciesResponseSchema } from '@soulbox/contract/egress';

export type PolicyMessage = MessageInitShape<typeof SandboxPolicySchema> & { readonly address: string };
type FeedMessage = MessageInitShape<typeof WatchPoliciesResponseSchema>;

/** Policies per message of the first table. */
const policiesPerMessage = 100;
/** Maximum messages that wait for the watcher. A slower watcher starts again with a complete table. */
const waitingMax = 10_000;
/** Without a watcher nothing passes, so a policy need not wait for it: the egress process refuses unknown addresses. */
const confirmTimeoutMs = 1000;

/** The policies that the egress process must enforce: the runner's end. */
export interface PolicyFeed extends Disposable {
  /**
   * Adds the policy of an address, or replaces it. Resolves when it is in effect, when no process watches, and after 1 s
   * with a warning in the log.
   */
  put(policy: PolicyMessage): Promise<void>;
  /** Removes the policy of an address, if it has one. Resolves like `put`. */
  remove(address: string): Promise<void>;
  /** All policies first, then the changes. An earlier watcher ends: only one process enforces. */
  watch(signal: AbortSignal): AsyncGenerator<FeedMessage>;
  confirm(position: bigint): void;
}

interface Watcher {
  readonly waiting: FeedMessage[];
  wake: () => void;
  ended: 'no' | 'replaced' | 'slow';
}

export function createPolicyFeed(logger: Logger): PolicyFeed {
  const table = new Map<string, PolicyMessage>();
  const confirmations = new Set<{ readonly position: bigint; readonly resolve: () => void }>();
  // Greater than any position of an earlier runner, because the watcher may remember those.
  let position = BigInt(Date.now()) * 1_000_000n;
  let watcher: Watcher | undefined;

  const end = (one: Watcher | undefined, how: 'replaced' | 'slow'): void => {
    if (one === undefined) return;
    one.ended = how;
    one.wake();
    if (watcher !== one) return;
    watcher = undefined;
    for (const { resolve } of confirmations) resolve();
    confirmations.clear();
  };
  const tell = async (change: Pick<FeedMessage, 'policies' | 'removed'>): Promise<void> => {
    position += 1n;
    if (watcher === undefined) return;
    const { waiting, wake } = watcher;
    waiting.push({ position, ...change });
    if (waiting.length > waitingMax) {
      end(watcher, 'slow');
      return;
    }
    wake();
    await confirmed(position);
  };
  const confirmed = async (wanted: bigint): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<true>();
    const confirmation = { position: wanted, resolve: () => resolve(true) };
    confirmations.add(confirmation);
    const limit = new AbortController();
    const late = sleepUnlessAborted(confirmTimeoutMs, limit.signal).then(
      () => false,
      () => true,
    );
    const isInTime = await Promise.race([promise, late]);
    limit.abort();
    confirmations.delete(confirmation);
    if (!isInTime) logger.warn({ position: String(wanted) }, 'the egress process did not confirm a policy in time');
  };

  return {
    async put(policy) {
      table.set(policy.address, policy);
      await tell({ policies: [policy] });
    },
    async remove(address) {
      if (table.delete(address)) await tell({ removed: [address] });
    },
    async *watch(signal) {
      end(watcher, 'replaced');
      const own: Watcher = { waiting: firstTable([...table.values()], position), wake: () => undefined, ended: 'no' };
      watcher = own;
      const onAbort = (): void => end(own, 'replaced');
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        for (;;) {
          for (let next = own.waiting.shift(); next !== undefined; next = own.waiting.shift()) yield next;
          if (own.ended === 'slow')
            throw new SoulBoxError('limit_exceeded', 'The watcher of the policies is too slow.');
          if (own.ended === 'replaced') return;
          await new Promise<void>((resolve) => (own.wake = resolve));
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
        end(own, 'replaced');
      }
    },
    confirm(confirmedPosition) {
      for (const confirmation of confirmations) if (confirmation.position <= confirmedPosition) confirmation.resolve();
    },
    [Symbol.dispose]: () => end(watcher, 'replaced'),
  };
}

function firstTable(policies: readonly PolicyMessage[], position: bigint): FeedMessage[] {
  const messages: FeedMessage[] = [];
  for (let start = 0; start === 0 || start < policies.length; start += policiesPerMessage)
    messages.push({
      position,
      policies: policies.slice(start, start + policiesPerMessage),
      isWhole: start + policiesPerMessage >= policies.length,
    });
  return messages;
}
