import { CallError, ownReasons } from './call-error.ts';
import type { WaitingSettings } from './waiting-line.ts';
import { createWaitingLine } from './waiting-line.ts';

/** A limit for calls in progress. */
export interface Slots {
  readonly used: number;
  /**
   * Waits for a slot in order of arrival, and tells it before it waits. Returns its release, which may be called more
   * than once.
   */
  take(signal?: AbortSignal, onWait?: (waiting: number) => void): Promise<() => void>;
  close(): void;
}

export function createSlots(target: string, slotsMax: number, waiting: WaitingSettings): Slots {
  // A slot is passed on as it is, so that a newcomer cannot take it from one that waits.
  const line = createWaitingLine<undefined>(target, waiting);
  let used = 0;
  let isClosed = false;
  const give = (): (() => void) => {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (!line.serve(undefined)) used -= 1;
    };
  };
  return {
    get used() {
      return used;
    },
    async take(signal, onWait) {
      signal?.throwIfAborted();
      if (isClosed) throw closedError(target);
      if (used < slotsMax) used += 1;
      else await line.join(signal, onWait);
      return give();
    },
    close() {
      isClosed = true;
      line.rejectAll(closedError(target));
    },
  };
}

export function closedError(target: string): CallError {
  const facts = { code: 'unavailable', reason: ownReasons.poolClosed, retryable: false } as const;
  return new CallError(`The connections to ${target} are closed.`, facts);
}
