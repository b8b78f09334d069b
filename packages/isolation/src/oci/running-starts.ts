import { SoulBoxError } from '@soulbox/base';

/** What is under way for sandboxes in this process, such as starts and restores: the one thing a driver remembers. */
export interface RunningStarts {
  /** Runs `start`, whose signal aborts when the sandbox is to be removed meanwhile. Several may run for one sandbox. */
  run<T>(sandboxId: string, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Ends all that is under way for the sandbox, and waits until it has cleaned up. */
  cancel(sandboxId: string): Promise<void>;
}

interface Start {
  readonly sandboxId: string;
  readonly abort: AbortController;
  readonly ended: Promise<unknown>;
}

export function createRunningStarts(): RunningStarts {
  const starts = new Set<Start>();
  return {
    run: async (sandboxId, start) => {
      const abort = new AbortController();
      const ended = start(abort.signal);
      const entry = { sandboxId, abort, ended };
      starts.add(entry);
      try {
        return await ended;
      } finally {
        starts.delete(entry);
      }
    },
    cancel: async (sandboxId) => {
      const own = [...starts].filter((start) => start.sandboxId === sandboxId);
      for (const { abort } of own)
        abort.abort(new SoulBoxError('sandbox_start_failed', 'The sandbox was removed while it was starting.'));
      await Promise.allSettled(own.map(({ ended }) => ended));
    },
  };
}
