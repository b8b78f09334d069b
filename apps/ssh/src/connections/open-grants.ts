import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@soulbox/base';
import { sshGrantsMax } from '@soulbox/contract/ssh-service';
import type { SshAuthority, SshGrant, SshUse, SshUsed } from '@soulbox/contract/ssh-service';
import { lookEveryMs } from '../limits.ts';

/** The grants of open connections: what they do is reported, and when they end, the connections do. */
export interface OpenGrants extends AsyncDisposable {
  /** Calls `end` once when the key may no longer enter the sandbox, until disposed. */
  open(grant: SshGrant, end: () => void): Disposable & { note(used: SshUsed): void };
}

const nameOf = ({ sandboxId, keyId }: SshGrant): string => `${sandboxId} ${keyId}`;

export function createOpenGrants(authority: SshAuthority, logger: Logger): OpenGrants {
  const open = new Map<string, { readonly grant: SshGrant; readonly ends: Set<() => void> }>();
  const uses = new Map<string, { use: Omit<SshUse, 'count'>; count: number }>();
  const stop = new AbortController();

  const report = async (): Promise<void> => {
    const batch = [...uses.entries()].slice(0, sshGrantsMax);
    if (batch.length === 0) return;
    for (const [name] of batch) uses.delete(name);
    try {
      await authority.report(batch.map(([, { use, count }]) => ({ ...use, count })));
    } catch (err) {
      // They are reported with the next ones.
      for (const [name, { use, count }] of batch) uses.set(name, { use, count: count + (uses.get(name)?.count ?? 0) });
      logger.debug({ err }, 'what was done by SSH is reported later');
    }
  };
  const look = async (): Promise<void> => {
    if (open.size === 0) return;
    try {
      for (const grant of await authority.findEnded([...open.values()].map(({ grant: one }) => one)))
        for (const end of open.get(nameOf(grant))?.ends ?? []) end();
    } catch (err) {
      logger.debug({ err }, 'the keys of open connections are looked up later');
    }
  };
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await sleep(lookEveryMs, undefined, { signal: stop.signal }).catch(() => undefined);
      await Promise.all([look(), report()]);
    }
  };
  const looping = loop();

  return {
    open(grant, end) {
      const name = nameOf(grant);
      const entry = open.get(name) ?? { grant, ends: new Set<() => void>() };
      entry.ends.add(end);
      open.set(name, entry);
      return {
        note(kind) {
          const key = `${name} ${kind}`;
          uses.set(key, { use: { grant, kind }, count: (uses.get(key)?.count ?? 0) + 1 });
        },
        [Symbol.dispose]() {
          entry.ends.delete(end);
          if (entry.ends.size === 0) open.delete(name);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looping;
    },
  };
}
