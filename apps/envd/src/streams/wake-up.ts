/** Lets one loop wait for any of several sources, without a listener that stays behind at each of them. */
export interface WakeUp {
  /** Ends the current wait, or the next one if there is none. */
  readonly ring: () => void;
  /** Rings when the promise resolves. */
  ringAfter(promise: Promise<unknown>): void;
  /** Resolves with true after a ring, and with false after the time. */
  wait(ms: number): Promise<boolean>;
}

export function createWakeUp(): WakeUp {
  let isRung = false;
  let finish: (() => void) | undefined;
  let watched: Promise<unknown> | undefined;
  const ring = (): void => {
    isRung = true;
    finish?.();
  };
  return {
    ring,
    ringAfter(promise) {
      if (promise === watched) return;
      watched = promise;
      void promise.then(ring);
    },
    async wait(ms) {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          finish = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        finish = undefined;
      }
      const wasRung = isRung;
      isRung = false;
      return wasRung;
    },
  };
}
