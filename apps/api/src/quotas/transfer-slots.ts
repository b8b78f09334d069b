import { SoulBoxError } from '@soulbox/base';

/**
 * Transfers at once, in total and of one team. One team cannot keep the others from theirs. Each export and import holds
 * disk space of the runner, whose own totals are the same. A followed stream asks the runner once a second.
 */
const limits = {
  export: { all: 8, team: 2 },
  import: { all: 4, team: 1 },
  'followed stream': { all: 256, team: 64 },
  // Each keeps a connection to the volume service, and a few blocks of memory there.
  'transfer of a volume file': { all: 128, team: 32 },
  // Each reads all metadata of a volume.
  'volume clone': { all: 8, team: 2 },
  // Each may wait for a store for two minutes.
  'bucket check': { all: 32, team: 4 },
} as const;
const retryAfterSeconds = 30;

export interface TransferSlots {
  /** Counts a transfer until it is disposed. Throws `limit_exceeded`. */
  take(kind: keyof typeof limits, teamId: string): Disposable;
}

export function createTransferSlots(): TransferSlots {
  const taken = new Set<{ readonly kind: string; readonly teamId: string }>();
  return {
    take(kind, teamId) {
      const same = [...taken].filter((one) => one.kind === kind);
      const { all, team } = limits[kind];
      const refuse = (who: string, limit: number): never => {
        const message = `${who} runs at most ${limit} ${kind}${limit === 1 ? '' : 's'} at once. Retry later.`;
        throw new SoulBoxError('limit_exceeded', message, { retryAfterSeconds });
      };
      if (same.filter((one) => one.teamId === teamId).length >= team) refuse('A team', team);
      if (same.length >= all) refuse('This server', all);
      const one = { kind, teamId };
      taken.add(one);
      return { [Symbol.dispose]: () => void taken.delete(one) };
    },
  };
}
