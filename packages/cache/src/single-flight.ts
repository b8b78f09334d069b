import { createArrival } from './arrival.ts';
import type { Arrival, ArrivingValue } from './arrival.ts';

/** Lets callers that want the same thing at the same time share one attempt. */
export interface SingleFlight<T> {
  /**
   * `work` is aborted when all callers have left. Rejects with the reason of the caller's signal. `onArrival` gets the
   * value before it is whole, if `work` knows it by then.
   */
  run(
    key: string,
    signal: AbortSignal,
    work: (signal: AbortSignal, arrival: Arrival) => Promise<T>,
    onArrival?: (value: ArrivingValue) => void,
  ): Promise<T>;
}

interface Flight<T> {
  readonly outcome: Promise<T>;
  readonly ending: AbortController;
  readonly arrival: Arrival;
  callers: number;
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>();
  const begin = (key: string, work: (signal: AbortSignal, arrival: Arrival) => Promise<T>): Flight<T> => {
    const ending = new AbortController();
    const arrival = createArrival();
    const outcome = work(ending.signal, arrival).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    // Each caller gets its error; there may be none left.
    outcome.catch((fault: unknown) => arrival.fail(fault as Error));
    const flight: Flight<T> = { outcome, ending, arrival, callers: 0 };
    flights.set(key, flight);
    return flight;
  };
  return {
    async run(key, signal, work, onArrival) {
      signal.throwIfAborted();
      const flight = flights.get(key) ?? begin(key, work);
      flight.callers += 1;
      if (onArrival !== undefined) flight.arrival.onBegin(onArrival);
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
