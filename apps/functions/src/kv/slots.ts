import { SoulBoxError } from '@soulbox/base';

/** The part of a request's stream that waits with it. */
interface Waiter {
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

interface Slots {
  /** Waits for a free slot, which is held until disposed. Throws when the stream closes before. */
  take(stream: Waiter): Promise<Disposable>;
}

/** Lets `limit` requests work at the same time. The others wait, in their order. */
export function createSlots(limit: number): Slots {
  let free = limit;
  const waiting = new Set<() => void>();
  const slot = (): Disposable => {
    let isHeld = true;
    return {
      [Symbol.dispose]() {
        if (!isHeld) return;
        isHeld = false;
        const [next] = waiting;
        if (next === undefined) free += 1;
        else next();
      },
    };
  };
  return {
    async take(stream) {
      if (stream.destroyed) throw closed();
      if (free > 0) {
        free -= 1;
        return slot();
      }
      return await new Promise((resolve, reject) => {
        const close = (): void => {
          waiting.delete(go);
          reject(closed());
        };
        const go = (): void => {
          waiting.delete(go);
          stream.off('close', close);
          resolve(slot());
        };
        waiting.add(go);
        stream.once('close', close);
      });
    },
  };
}

function closed(): SoulBoxError {
  return new SoulBoxError('bad_request', 'The request ended while it waited for others.');
}
