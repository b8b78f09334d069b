import { createBreaker, defaultBreaker } from './breaker.ts';
import type { Breaker, BreakerSettings } from './breaker.ts';
import { createSlots } from './slots.ts';
import type { Slots } from './slots.ts';
import { defaultWaiting } from './waiting-line.ts';
import type { WaitingSettings } from './waiting-line.ts';

export interface HostLimits {
  /** Calls in progress. */
  readonly callsMax: number;
  /** Streams and long calls in progress, besides the calls. */
  readonly streamsMax: number;
  readonly waiting?: Partial<WaitingSettings>;
  readonly breaker?: Partial<BreakerSettings>;
}

/** What all clients of one host in this process share. */
export interface Host {
  readonly slots: Slots;
  readonly streamSlots: Slots;
  /** Of one server behind this host, such as the API. */
  breakerOf(part: string): Breaker;
}

/** Beyond this number, hosts that are not in use are forgotten. Each sandbox can have a host name of its own. */
const hostsMax = 1000;

/** Knows hosts by their names, usually the origins of their URLs. */
export function createHosts({ callsMax, streamsMax, waiting, breaker }: HostLimits): (name: string) => Host {
  const hosts = new Map<string, Host & { readonly isIdle: () => boolean }>();
  const settings = { ...defaultBreaker, ...breaker };
  const line = { ...defaultWaiting, ...waiting };
  return (name) => {
    const known = hosts.get(name);
    if (known !== undefined) return known;
    if (hosts.size >= hostsMax) for (const [other, { isIdle }] of hosts) if (isIdle()) hosts.delete(other);
    const slots = createSlots(name, callsMax, line);
    const streamSlots = createSlots(name, streamsMax, line);
    const breakers = new Map<string, Breaker>();
    const host = {
      ...{ slots, streamSlots },
      breakerOf(part: string) {
        const own = breakers.get(part) ?? createBreaker(name, settings);
        breakers.set(part, own);
        return own;
      },
      isIdle: () =>
        slots.used + streamSlots.used === 0 && [...breakers.values()].every(({ state }) => state === 'closed'),
    };
    hosts.set(name, host);
    return host;
  };
}
