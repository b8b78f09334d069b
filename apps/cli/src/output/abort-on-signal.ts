import { exitCodes } from '../command-line/exit-codes.ts';

/** Aborts on Ctrl-C and similar signals, so that nothing incomplete remains. */
export function abortOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      stop.abort(new Error(`Interrupted (${name}).`));
    });
  }
  return stop.signal;
}

/** Runs the work of a command with such a signal, and returns its exit code. */
export async function orInterrupted(act: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const signal = abortOnSignal();
  try {
    return await act(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    return exitCodes.interrupted;
  }
}
