import type { Wall } from './walls.ts';
import type { World } from './world.ts';

/** Who makes an attempt: a program of the sandbox's user or of its root, or a client outside. */
export type Who = 'user' | 'root' | 'outside';

/**
 * Where the same program must succeed, to show that it would notice a missing wall:
 *
 * - `opened`: root of the host in new namespaces, where the operation harms nobody
 * - `host`: root of the host itself, for programs that only look
 * - `neighbor`: the other team's sandbox, for its own objects
 * - `open`: the attacker's sandbox, which has no network policy
 * - `allowed`: the same sandbox with a policy, for a destination that the policy allows (see `policedParameters`)
 */
export type ControlPlace = 'opened' | 'host' | 'neighbor' | 'open' | 'allowed';

/** The network policy of a sandbox: that of `namedPolicy`, or no internet. */
export type Policy = 'named' | 'closed';

/** A small program inside, one of many in one run of `batch.py`. */
export interface InsideAttempt {
  readonly kind: 'inside';
  /** What it tries, after "a program ...". */
  readonly name: string;
  readonly wall: Wall;
  readonly by: readonly Exclude<Who, 'outside'>[];
  /** The body of a Python function with the names of `batch.py`. Its normal end means that it succeeded. */
  readonly python: string;
  /** Names of errors that also count as a refusal, besides those of `usualRefusals`. */
  readonly refusedWith?: readonly string[];
  /** `none` has the reason why the operation is nowhere harmless. The state of the host is compared in any case. */
  readonly control: ControlPlace | { readonly none: string };
  /** Absent: the sandbox has no network policy. */
  readonly policy?: Policy;
  /** Why its success is no breach if the sandbox has a kernel of its own. The state of the host must still not change. */
  readonly harmlessInOwnKernel?: string;
}

/** An attempt that needs more than a program: clients, sandboxes of its own, or steps of the server. */
export interface Scene {
  readonly kind: 'scene';
  readonly name: string;
  readonly wall: Wall;
  readonly by: readonly Who[];
  /** `quick` scenes are also in the short form. */
  readonly pace: 'quick' | 'long';
  /** Returns how it is known that the wall held, in a few words. Throws a `Breach` if it did not hold. */
  readonly run: (world: World) => Promise<string>;
  /** Why the scene does not exist with a kernel of the sandbox's own. */
  readonly notInOwnKernel?: string;
}

export type Attempt = InsideAttempt | Scene;

/** `unclear`: neither a success nor a refusal was seen, or the control did not succeed. Counts as a failure. */
export type Verdict = 'held' | 'breached' | 'unclear';

export interface Result {
  readonly name: string;
  readonly wall: Wall;
  readonly by: Who;
  readonly verdict: Verdict;
  /** How it is known. */
  readonly evidence: string;
  readonly ms: number;
}

/** A wall did not hold. Every other error of a scene makes it unclear. */
export class Breach extends Error {}

/** Throws a `Breach` if there is one. */
export function refuseBreaches(breaches: readonly string[]): void {
  if (breaches.length > 0) throw new Breach(breaches.slice(0, 8).join('; '));
}

export const both = ['user', 'root'] as const;
