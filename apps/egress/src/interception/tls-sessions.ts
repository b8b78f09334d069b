import type { Clock } from '@soulbox/base';

/** For so long a host is not asked for its certificate again. Milliseconds. */
const lifetimeMs = 600_000;
/** Sessions in memory, of all sandboxes, and of one. The oldest are dropped. */
const sessionsMax = 2000;
const ownerMax = 50;
/** A session has 2 to 10 KiB, depending on the host's certificates. A ticket, which the host chooses, up to 64. */
const sessionMaxBytes = 16 * 1024;

/**
 * TLS sessions with hosts, which a later connection of the same sandbox to the same name and port resumes. Never those
 * of another sandbox: a host could link the two.
 */
export interface TlsSessions {
  find(sandboxId: string, host: string): Buffer | undefined;
  /**
   * Only for a session in whose handshake the certificate was verified for this host. One that is larger than 16 KiB is not
   * kept.
   */
  keep(sandboxId: string, host: string, session: Buffer): void;
}

interface Kept {
  readonly session: Buffer;
  /** By the clock, in milliseconds. */
  readonly until: number;
}

export function createTlsSessions(clock: Clock): TlsSessions {
  /** By sandbox, then by host. Both have the one that was kept last at the end, so that each step takes constant time. */
  const owners = new Map<string, Map<string, Kept>>();
  let count = 0;
  const drop = (sandboxId: string, host: string | undefined): void => {
    const own = owners.get(sandboxId);
    if (own === undefined || host === undefined || !own.delete(host)) return;
    count -= 1;
    if (own.size === 0) owners.delete(sandboxId);
  };
  const dropOldest = (sandboxId: string | undefined): void => {
    if (sandboxId !== undefined) drop(sandboxId, owners.get(sandboxId)?.keys().next().value);
  };
  return {
    find(sandboxId, host) {
      const found = owners.get(sandboxId)?.get(host);
      if (found === undefined) return undefined;
      if (clock.now() < found.until) return found.session;
      drop(sandboxId, host);
      return undefined;
    },
    keep(sandboxId, host, session) {
      drop(sandboxId, host);
      if (session.length > sessionMaxBytes) return;
      if ((owners.get(sandboxId)?.size ?? 0) >= ownerMax) dropOldest(sandboxId);
      else if (count >= sessionsMax) dropOldest(owners.keys().next().value);
      const own = owners.get(sandboxId) ?? new Map<string, Kept>();
      owners.delete(sandboxId);
      owners.set(sandboxId, own.set(host, { session, until: clock.now() + lifetimeMs }));
      count += 1;
    },
  };
}
