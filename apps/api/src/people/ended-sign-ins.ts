import type { Clock } from '@soulbox/base';
import type { Identity } from './claims.ts';

/** What the provider says has ended (OpenID Connect Back-Channel Logout 1.0). At least one of the two is not empty. */
export interface Logout {
  readonly subject: string;
  readonly providerSid: string;
}

/**
 * What the provider has ended lately. A sign-in may be under way when the provider ends its session: the records do not
 * have it yet, so ending what they have is not enough.
 */
export interface EndedSignIns {
  /** `issuedAt`: when the provider said so, in Unix seconds. Call it before the sessions are ended. */
  note(logout: Logout, issuedAt: number): void;
  /** Call it once the session is in the records. */
  readonly includes: (identity: Pick<Identity, 'subject' | 'providerSid' | 'issuedAt'>) => boolean;
}

/** The last step of a sign-in takes less time than this. Milliseconds. */
const keptMs = 10 * 60_000;
/** Entries, of which each logout makes two at most. Only the provider can make any; the oldest is dropped. */
const endedMax = 20_000;

export function createEndedSignIns(clock: Clock): EndedSignIns {
  const ended = new Map<string, { readonly issuedAt: number; readonly until: number }>();

  const add = (key: string, issuedAt: number): void => {
    const now = clock.now();
    const latest = Math.max(issuedAt, ended.get(key)?.issuedAt ?? 0);
    ended.delete(key);
    ended.set(key, { issuedAt: latest, until: now + keptMs });
    for (const [old, { until }] of ended) {
      if (until > now && ended.size <= endedMax) break;
      ended.delete(old);
    }
  };
  const endedAt = (key: string): number => {
    const found = ended.get(key);
    return found === undefined || found.until <= clock.now() ? 0 : found.issuedAt;
  };

  return {
    note({ subject, providerSid }, issuedAt) {
      if (providerSid !== '') add(`session ${providerSid}`, issuedAt);
      // A sign-in without a name at the provider may be of the session that has ended.
      if (subject !== '') add(`${providerSid === '' ? 'all' : 'unnamed'} ${subject}`, issuedAt);
    },
    includes: ({ subject, providerSid, issuedAt }) => {
      if (providerSid !== '' && endedAt(`session ${providerSid}`) > 0) return true;
      if (issuedAt <= endedAt(`all ${subject}`)) return true;
      return providerSid === '' && issuedAt <= endedAt(`unnamed ${subject}`);
    },
  };
}
