import type { Logger } from '@soulbox/base';
import type { PolicyTaker, SandboxUsage } from '@soulbox/egress-policies';
import { createTunnelWatch } from './tunnel-watch.ts';
import type { TunnelWatch } from './tunnel-watch.ts';
import { policedSandboxFromWire } from './policed-sandbox.ts';
import type { PolicedSandbox } from './policed-sandbox.ts';
import { createUsage } from './usage.ts';
import type { Usage } from './usage.ts';

/** A sandbox that has a policy now. Another sandbox at the same address is another entry. */
export interface PolicyEntry {
  /** Replaced when the policy changes. */
  current: PolicedSandbox;
  readonly usage: Usage;
  /** Counts the names that it has looked up, by itself or because a connection named them. */
  readonly tunnel: TunnelWatch;
  /** The count that was reported last. */
  reportedBytes: number;
  /** What must be judged again when the policy changes. */
  readonly watchers: Set<PolicyWatcher>;
}

export interface PolicyWatcher {
  /** The policy of its sandbox has changed. Undefined: the sandbox has none any more. */
  onPolicy(sandbox: PolicedSandbox | undefined): void;
}

export interface PolicyTable extends PolicyTaker {
  /** Undefined: packets of this address must not be here, and are refused. */
  find(address: string): PolicyEntry | undefined;
  /** Called whenever a sandbox has reached its byte limit. */
  onUsedUp(listener: () => void): void;
}

export function createPolicyTable(logger: Logger): PolicyTable {
  const entries = new Map<string, PolicyEntry>();
  /** Counts that were not reported while their sandboxes still had a byte limit. */
  let last: SandboxUsage[] = [];
  const takeUsage = (entry: PolicyEntry): SandboxUsage[] => {
    const bytes = entry.usage.usedBytes();
    if (bytes === undefined || bytes === entry.reportedBytes) return [];
    entry.reportedBytes = bytes;
    const { sandboxId, generation } = entry.current;
    return [{ sandboxId, generation, bytes }];
  };
  let tellUsedUp = (): void => undefined;
  const tell = (entry: PolicyEntry, sandbox: PolicedSandbox | undefined): void => {
    for (const watcher of [...entry.watchers]) watcher.onPolicy(sandbox);
  };
  const remove = (address: string): void => {
    const entry = entries.get(address);
    entries.delete(address);
    if (entry === undefined) return;
    tell(entry, undefined);
    last.push(...takeUsage(entry));
  };
  const put = (wire: Parameters<typeof policedSandboxFromWire>[0]): void => {
    let sandbox: PolicedSandbox;
    try {
      sandbox = policedSandboxFromWire(wire);
    } catch (err) {
      // Nothing is known about what it allows.
      logger.error({ err, sandboxId: wire.sandboxId }, 'the policy cannot be read; everything is refused');
      remove(wire.address);
      return;
    }
    const known = entries.get(sandbox.address);
    if (known?.current.sandboxId === sandbox.sandboxId) {
      last.push(...takeUsage(known));
      // What this process has counted itself is exact.
      if (known.current.generation !== sandbox.generation) known.usage.raise(sandbox.usedBytes);
      known.current = sandbox;
      known.usage.useLimits(sandbox.limits);
      tell(known, sandbox);
      return;
    }
    remove(sandbox.address);
    const usage = createUsage(sandbox.limits, sandbox.usedBytes, () => tellUsedUp());
    entries.set(sandbox.address, {
      ...{ current: sandbox, usage, reportedBytes: sandbox.usedBytes },
      watchers: new Set(),
      tunnel: createTunnelWatch(),
    });
  };
  return {
    find: (address) => entries.get(address),
    onUsedUp: (listener) => void (tellUsedUp = listener),
    replace(policies) {
      const kept = new Set(policies.map(({ address }) => address));
      for (const address of [...entries.keys()]) if (!kept.has(address)) remove(address);
      policies.forEach(put);
    },
    change(policies, removed) {
      removed.forEach(remove);
      policies.forEach(put);
    },
    takeUsages() {
      const changed = [...last, ...[...entries.values()].flatMap(takeUsage)];
      last = [];
      return changed;
    },
  };
}
