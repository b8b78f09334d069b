import type { Clock } from '@soulbox/base';

/** For so long a host is not asked for its certificate again. Milliseconds. */
const lifetimeMs = 600_000;
/** Sessions in memory, of all sandboxes, and of one. The oldest are dropped. A session has 2 to 10 KiB. */
const sessionsMax = 2000;
const ownerMax = 50;

/**
 * TLS sessions with hosts, which a later connection of the same sandbox to the same name and port resumes. Never those
 * of another sandbox: a host could link the two.
 */
export interface TlsSessions {
  find(sandboxId: string, host: string): Buffer | undefined;
  /** Only for a session in whose handshake the certificate was verified for this host. */
  keep(sandboxId: string, host: string, session: Buffer): void;
}

export function createTlsSessions(clock: Clock): TlsSessions {
  const sessions = new Map<string, { readonly session: Buffer; readonly until: number }>();
  const keyOf = (sandboxId: string, host: string): string => `${sandboxId} ${host}`;
  return {
    find(sandboxId, host) {
      const key = keyOf(sandboxId, host);
      const found = sessions.get(key);
      if (found === undefined) return undefined;
      if (clock.now() < found.until) return found.session;
      sessions.delete(key);
      return undefined;
    },
    keep(sandboxId, host, session) {
      const key = keyOf(sandboxId, host);
      sessions.delete(key);
      const own = [...sessions.keys()].filter((other) => other.startsWith(`${sandboxId} `));
      const [oldest] = own.length >= ownerMax ? own : sessions.size >= sessionsMax ? sessions.keys() : [];
      if (oldest !== undefined) sessions.delete(oldest);
      sessions.set(key, { session, until: clock.now() + lifetimeMs });
    },
  };
}
