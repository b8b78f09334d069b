import { SoulBoxError } from '@soulbox/base';

/** The starts and restores of this process that have not ended: the one thing a driver remembers. */
export interface RunningStarts {
  /** Runs `start`, whose signal aborts when the sandbox is to be removed meanwhile. */
  run<T>(sandboxId: string, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Ends the sandbox's start, if there is one, and waits until it has cleaned up. */
  cancel(sandboxId: string): Promise<void>;
}

export function createRunningStarts(): RunningStarts {
  const starts = new Map<string, { readonly abort: AbortController; readonly ended: Promise<unknown> }>();
  return {
    run: async (sandboxId, start) => {
      const abort = new AbortController();
      const ended = start(abort.signal);
      starts.set(sandboxId, { abort, ended });
      try {
        return await ended;
      } finally {
        starts.delete(sandboxId);
      }
    },
    cancel: async (sandboxId) => {
      const start = starts.get(sandboxId);
      start?.abort.abort(new SoulBoxError('sandbox_start_failed', 'The sandbox was removed while it started.'));
      await Promise.allSettled([start?.ended]);
    },
  };
}
