import { both } from '../../attempt.ts';
import type { InsideAttempt } from '../../attempt.ts';

type Rest = Partial<Pick<InsideAttempt, 'by' | 'control' | 'policy' | 'refusedWith' | 'wall'>>;

/** A connection that ends, or that nobody takes. */
const ended = ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE'];

/**
 * A program in a sandbox with a network policy. By default it tries to get to a host that the policy does not name, and
 * the same program must get to one that it does name.
 */
export function policed(name: string, python: string, rest: Rest = {}): InsideAttempt {
  return {
    ...{ kind: 'inside', wall: 'policy', by: both, name, python, policy: 'named', control: 'allowed' },
    refusedWith: ended,
    ...rest,
  };
}
