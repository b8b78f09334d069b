/** Lets callers that want the same thing at the same time share one attempt. */
export interface SingleFlight<T> {
  /** `work` is aborted when all callers have left. Rejects with the reason of the caller's signal. */
  run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Flight<T> {
  readonly outcome: Promise<T>;
  readonly ending: AbortController;
  callers: number;
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>();
  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const ending = new AbortController();
    const outcome = work(ending.signal).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    // Each caller gets its error; there may be none left.
    outcome.catch(() => undefined);
    const flight: Flight<T> = { outcome, ending, callers: 0 };
    flights.set(key, flight);
    return flight;
  };
  return {
    async run(key, signal, work) {
      signal.throwIfAborted();
      const flight = flights.get(key) ?? begin(key, work);
      flight.callers += 1;
      const { promise: left, reject } = Promise.withResolvers<never>();
      const leave = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', leave, { once: true });
      try {
        return await Promise.race([flight.outcome, left]);
      } finally {
        signal.removeEventListener('abort', leave);
        flight.callers -= 1;
        if (flight.callers === 0) {
          // The next caller begins anew, and does not join what is being aborted.
          if (flights.get(key) === flight) flights.delete(key);
          flight.ending.abort(new Error('Nobody waits for this value.'));
        }
      }
    },
  };
}
