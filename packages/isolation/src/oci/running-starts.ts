import { SoulBoxError } from '@soulbox/base';

/**
 * Operations in progress on sandboxes in this process, such as starts and restores: the only state that a driver keeps
 * in memory.
 */
export interface RunningStarts {
  /** Runs `start`; its signal aborts if the sandbox is to be removed meanwhile. Several may run for one sandbox. */
  run<T>(sandboxId: string, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Aborts all operations in progress on the sandbox, and waits until they have cleaned up. */
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
