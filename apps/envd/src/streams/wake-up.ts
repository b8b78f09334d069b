/** Lets one loop wait for any of several sources. */
export interface WakeUp {
  /** Ends the current wait, or the next one if there is none. */
  readonly ring: () => void;
  /** Resolves with true after a ring, and with false after the time. */
  wait(ms: number): Promise<boolean>;
}

export function createWakeUp(): WakeUp {
  let isRung = false;
  let finish: (() => void) | undefined;
  const ring = (): void => {
    isRung = true;
    finish?.();
  };
  return {
    ring,
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
