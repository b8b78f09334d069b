import { CallError, ownReasons } from './call-error.ts';

export interface WaitingSettings {
  /** Calls that may wait for a connection at the same time. One more fails with `pool_full`. */
  readonly waitingMax: number;
  /** How long a call waits, in milliseconds. Then it fails with `pool_timeout`. */
  readonly waitMs: number;
}

export const defaultWaiting: WaitingSettings = { waitingMax: 1000, waitMs: 30_000 };

/** Callers that wait for something, first come, first served. */
export interface WaitingLine<T> {
  readonly size: number;
  /** Rejects at once when the signal aborts. */
  join(signal?: AbortSignal, onJoined?: (waiting: number) => void): Promise<T>;
  /** Gives this to the first in the line. False if nobody waits. */
  serve(item: T): boolean;
  /** Everybody in the line fails with this. */
  rejectAll(error: Error): void;
}

interface Place<T> {
  take(item: T): void;
  fail(error: Error): void;
}

export function createWaitingLine<T>(
  target: string,
  { waitingMax, waitMs }: WaitingSettings,
  onWait: (waiting: number) => void = () => undefined,
): WaitingLine<T> {
  // A Set keeps the order of insertion, and one in the middle can leave at no cost.
  const line = new Set<Place<T>>();
  return {
    get size() {
      return line.size;
    },
    async join(signal, onJoined = onWait) {
      signal?.throwIfAborted();
      if (line.size >= waitingMax)
        throw unserved(`${waitingMax} calls already wait for a connection to ${target}.`, ownReasons.poolFull);
      return await new Promise<T>((resolve, reject) => {
        const leave = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          // At once: an item that goes to a caller who has left would be lost.
          line.delete(place);
        };
        const place: Place<T> = {
          take(item) {
            leave();
            resolve(item);
          },
          fail(error) {
            leave();
            reject(error);
          },
        };
        const abort = (): void => place.fail(signal?.reason as Error);
        const late = `No connection to ${target} became free in ${waitMs} ms.`;
        const timer = setTimeout(() => place.fail(unserved(late, ownReasons.poolTimeout)), waitMs);
        signal?.addEventListener('abort', abort);
        line.add(place);
        onJoined(line.size);
      });
    },
    serve(item) {
      const [first] = line;
      if (first === undefined) return false;
      first.take(item);
      return true;
    },
    rejectAll(error) {
      for (const place of [...line]) place.fail(error);
    },
  };
}

/** Nothing was sent, so it is safe to repeat. */
function unserved(message: string, reason: string): CallError {
  return new CallError(message, { code: 'unavailable', reason, retryable: true });
}
