import { sleepUnlessAborted, SoulBoxError, nearestCount } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SandboxPolicySchema, WatchPoliciesResponseSchema } from '@soulbox/contract/egress';

export type PolicyMessage = MessageInitShape<typeof SandboxPolicySchema> & { readonly address: string };

/** What a sandbox has used of its byte limit, as the egress process has counted it. */
export interface SandboxUsage {
  readonly sandboxId: string;
  /** Names the run of its processes in which it was counted. */
  readonly generation: string;
  readonly bytes: number;
}

/** Keeps what sandboxes have used of their byte limits. */
export interface UsageBook {
  /** At least what these sandboxes have used. Those without a count are missing. */
  read(sandboxIds: readonly string[]): ReadonlyMap<string, number>;
  write(usages: readonly SandboxUsage[]): void;
}

const noBook: UsageBook = { read: () => new Map(), write: () => undefined };

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
   * with a warning in the log. Throws `host_not_ready` instead if the address belonged to another sandbox whose removal
   * was not confirmed: the process might still attribute connections to that one.
   */
  put(policy: PolicyMessage): Promise<void>;
  /** Removes the policy of an address, if it has one. Resolves like `put`. */
  remove(address: string): Promise<void>;
  /** All policies first, then the changes. An earlier watcher ends: only one process enforces. */
  watch(signal: AbortSignal): AsyncGenerator<FeedMessage>;
  /** Takes the counts first, so that the last count of a sandbox is known when its removal is confirmed. */
  confirm(position: bigint, usages?: readonly SandboxUsage[]): void;
}

interface Watcher {
  readonly waiting: FeedMessage[];
  wake: () => void;
  ended: 'no' | 'replaced' | 'slow';
}

export function createPolicyFeed(logger: Logger, book: UsageBook = noBook): PolicyFeed {
  const table = new Map<string, PolicyMessage>();
  /** Addresses whose removal a living process may not know. A process that starts anew knows none. */
  const unconfirmed = new Set<string>();
  let wasWatched = false;
  const confirmations = new Set<{ readonly position: bigint; readonly resolve: (isConfirmed: boolean) => void }>();
  // Greater than any position of an earlier runner, because the watcher may remember those.
  let position = BigInt(Date.now()) * 1_000_000n;
  let watcher: Watcher | undefined;

  const end = (one: Watcher | undefined, how: 'replaced' | 'slow'): void => {
    if (one === undefined) return;
    one.ended = how;
    one.wake();
    if (watcher !== one) return;
    watcher = undefined;
    for (const { resolve } of confirmations) resolve(false);
    confirmations.clear();
  };
  /** Whether the change is known to be in effect. */
  const tell = async (change: Pick<FeedMessage, 'policies' | 'removed'>): Promise<boolean> => {
    position += 1n;
    if (watcher === undefined) return false;
    const { waiting, wake } = watcher;
    waiting.push({ position, ...change });
    if (waiting.length > waitingMax) {
      end(watcher, 'slow');
      return false;
    }
    wake();
    return await confirmed(position);
  };
  const confirmed = async (wanted: bigint): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const confirmation = { position: wanted, resolve };
    confirmations.add(confirmation);
    const limit = new AbortController();
    const late = sleepUnlessAborted(confirmTimeoutMs, limit.signal).then(
      () => 'late' as const,
      () => 'late' as const,
    );
    const outcome = await Promise.race([promise, late]);
    limit.abort();
    confirmations.delete(confirmation);
    if (outcome === 'late')
      logger.warn({ position: String(wanted) }, 'the egress process did not confirm a policy in time');
    return outcome === true;
  };

  return {
    async put(policy) {
      table.set(policy.address, policy);
      if ((await tell({ policies: withUsage([policy], book) })) || !unconfirmed.has(policy.address)) return;
      throw new SoulBoxError(
        'host_not_ready',
        'The process that judges connections does not answer, and may still know an earlier sandbox. Retry.',
      );
    },
    async remove(address) {
      if (!table.delete(address)) return;
      if (!(await tell({ removed: [address] })) && wasWatched) unconfirmed.add(address);
    },
    async *watch(signal) {
      end(watcher, 'replaced');
      const own: Watcher = {
        waiting: firstTable(withUsage([...table.values()], book), position),
        wake: () => undefined,
        ended: 'no',
      };
      watcher = own;
      wasWatched = true;
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
    confirm(confirmedPosition, usages = []) {
      if (usages.length > 0) book.write(usages);
      if (confirmedPosition >= position) unconfirmed.clear();
      for (const confirmation of confirmations)
        if (confirmation.position <= confirmedPosition) confirmation.resolve(true);
    },
    [Symbol.dispose]: () => end(watcher, 'replaced'),
  };
}

/** A count that cannot be encoded would keep the policies of all sandboxes from the egress process. */
function withUsage(policies: readonly PolicyMessage[], book: UsageBook): PolicyMessage[] {
  const used = book.read(policies.map(({ sandboxId = '' }) => sandboxId));
  return policies.map((policy) => ({
    ...policy,
    usedBytes: BigInt(nearestCount(used.get(policy.sandboxId ?? '') ?? 0)),
  }));
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
