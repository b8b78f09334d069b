/** Decides whether something that fails may be tried. */
export interface Breaker {
  /** Whether it may be tried now. While it rests, one caller after each pause may; that caller must report the outcome. */
  mayTry(): boolean;
  succeeded(): void;
  /** `grave`: one is enough. */
  failed(grave: boolean): void;
  /** It shall not be tried for so many milliseconds, whatever it answers. */
  rest(ms: number): void;
  /** The caller left before there was an outcome. */
  unknown(): void;
  isResting(): boolean;
}

/** Failures in a row after which it rests. */
const failuresMax = 3;
const firstPauseMs = 1000;
const maxPauseMs = 60_000;

/** Pauses double from 1 s to 60 s while it keeps failing. `now` is a clock in milliseconds that never goes back. */
export function createBreaker(now: () => number = () => performance.now()): Breaker {
  let failures = 0;
  let pauseMs = firstPauseMs;
  /** Undefined: it works. */
  let restsUntil: number | undefined;
  let isTrying = false;
  return {
    isResting: () => restsUntil !== undefined,
    mayTry() {
      if (restsUntil === undefined) return true;
      if (isTrying || now() < restsUntil) return false;
      isTrying = true;
      return true;
    },
    succeeded() {
      // A late success of a call from before is no reason to end the pause.
      if (restsUntil !== undefined && !isTrying) return;
      failures = 0;
      pauseMs = firstPauseMs;
      restsUntil = undefined;
      isTrying = false;
    },
    failed(grave) {
      failures += grave ? failuresMax : 1;
      if (restsUntil === undefined) {
        if (failures >= failuresMax) restsUntil = now() + pauseMs;
      } else if (isTrying) {
        pauseMs = Math.min(maxPauseMs, 2 * pauseMs);
        restsUntil = now() + pauseMs;
        isTrying = false;
      }
    },
    rest(ms) {
      restsUntil = now() + ms;
      isTrying = false;
    },
    unknown() {
      isTrying = false;
    },
  };
}
