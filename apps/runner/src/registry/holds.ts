import { SoulBoxError } from '@soulbox/base';

/** A team, or one of its API keys, that has used up a budget. */
export interface Hold {
  readonly teamId: string;
  /** Empty: every sandbox of the team. */
  readonly keyId: string;
  /** For the caller. */
  readonly message: string;
}

/**
 * Whose sandboxes may not begin to run. The control plane decides this and repeats it every few seconds; a new runner has
 * no holds until then.
 */
export interface Holds {
  /** Replaces all. */
  set(holds: readonly Hold[]): void;
  /** Throws `budget_spent` for a team or key that is held. */
  check(owner: { readonly teamId: string; readonly keyId: string }): void;
}

export function createHolds(): Holds {
  let messages = new Map<string, string>();
  const nameOf = (teamId: string, keyId: string): string => `${teamId} ${keyId}`;
  return {
    set(holds) {
      messages = new Map(holds.map(({ teamId, keyId, message }) => [nameOf(teamId, keyId), message]));
    },
    check({ teamId, keyId }) {
      if (messages.size === 0) return;
      const message = messages.get(nameOf(teamId, '')) ?? messages.get(nameOf(teamId, keyId));
      if (message !== undefined) throw new SoulBoxError('budget_spent', message);
    },
  };
}
