import { lastSlot } from './address-plan.ts';

/**
 * A limit for each sandbox that also bounds all of them together. What is within `own` always passes. `more` passes only
 * while all sandboxes together stay within `all`: so many sandboxes of one tenant do not use up what the others need.
 * The sum of `own` and `more` is what one sandbox gets.
 */
interface SharedLimit {
  readonly own: string;
  readonly more: string;
  readonly all: string;
}

export const sharedLimits = {
  /**
   * Connections that are logged, each with two events. The kernel keeps about 10,000 events, of which 8000 are read in a
   * second.
   */
  logged: {
    own: '10/second burst 20 packets',
    more: '90/second burst 980 packets',
    all: '2000/second burst 2000 packets',
  },
  /** Refused packets that are logged. UDP packets that get a response are told in another table, within the same limit. */
  refusals: {
    own: '2/second burst 20 packets',
    more: '18/second burst 180 packets',
    all: '500/second burst 1000 packets',
  },
  /**
   * Datagrams with look-ups. Those that arrive at once must fit into the buffer of one socket, which holds about 500; the
   * egress process answers about 3000 in a second. A program that installs packages sends up to 200 at once.
   */
  lookups: {
    own: '20/second burst 20 packets',
    more: '480/second burst 180 packets',
    all: '2000/second burst 300 packets',
  },
  /** New connections to the egress process, which takes about 3000 in a second. */
  connections: {
    own: '20/second burst 20 packets',
    more: '980/second burst 1980 packets',
    all: '2000/second burst 3000 packets',
  },
} as const satisfies Record<string, SharedLimit>;

/**
 * The rules that apply `statement` to the packets within the limit. It must end the chain; what follows is for the
 * others.
 */
export function withinLimit(name: keyof typeof sharedLimits, statement: string): string {
  const { own, more, all } = sharedLimits[name];
  return `add @${name}_own { ip saddr limit rate ${own} } ${statement}
    add @${name}_more { ip saddr limit rate ${more} } limit rate ${all} ${statement}`;
}

/** The sets that the limits need. */
export function limitSets(): string {
  return Object.keys(sharedLimits)
    .flatMap((name) => [`${name}_own`, `${name}_more`])
    .map((set) => `set ${set} { type ipv4_addr; size ${lastSlot}; flags dynamic; }`)
    .join('\n  ');
}
