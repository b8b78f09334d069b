import { SoulBoxError } from '@soulbox/base';

/** Events of one watcher that wait to be fetched. */
export interface EventQueue<Event> {
  /** Adds an event whose details may still be pending. The order of the calls is preserved. */
  push(event: Event | Promise<Event>): void;
  /** All events that are ready now. Throws limit_exceeded once after events were lost. */
  drain(): Event[];
  /** Resolves when there is something to drain or the signal aborts. */
  wait(signal: AbortSignal): Promise<void>;
}

/** Each takes about 200 bytes without entry information. */
const maxQueued = 16_384;

/** A bounded queue. A client that does not fetch loses events and receives an error. */
export function createEventQueue<Event>(): EventQueue<Event> {
  let ready: Event[] = [];
  let pending = 0;
  let hasLost = false;
  let tail: Promise<void> = Promise.resolve();
  let wake = (): void => undefined;

  const append = (event: Event): void => {
    ready.push(event);
    wake();
  };

  return {
    push(event) {
      if (ready.length + pending >= maxQueued) {
        hasLost = true;
        wake();
        return;
      }
      if (!(event instanceof Promise) && pending === 0) {
        append(event);
        return;
      }
      pending += 1;
      const lookup = Promise.resolve(event);
      tail = tail.then(async () => {
        append(await lookup);
        pending -= 1;
      });
    },
    drain() {
      if (hasLost) {
        hasLost = false;
        ready = [];
        throw new SoulBoxError(
          'limit_exceeded',
          `More than ${maxQueued} events were not fetched in time, and some were lost.`,
        );
      }
      const drained = ready;
      ready = [];
      return drained;
    },
    async wait(signal) {
      if (ready.length > 0 || hasLost || signal.aborted) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
  };
}
