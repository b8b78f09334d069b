import { CallError, ownReasons } from './call-error.ts';
import type { BreakerState } from './events.ts';

/** Stops calls to a target that fails, so that it can recover and callers learn at once. Times in milliseconds. */
export interface BreakerSettings {
  /** This many failures in a row open it, 1 or more. */
  readonly failures: number;
  /** How long it stays open the first time. It doubles with each failed probe. */
  readonly openMs: number;
  readonly openMaxMs: number;
}

export const defaultBreaker: BreakerSettings = { failures: 10, openMs: 1000, openMaxMs: 30_000 };

/** One call that was let through. Exactly one of the methods is called. */
export interface Permit {
  /** The target has answered, with success or with an error of its own. */
  succeed(): void;
  fail(): void;
  /** The call ended without telling anything about the target, for example by an abort. */
  cancel(): void;
}

export interface Breaker {
  readonly state: BreakerState;
  /**
   * Throws `circuit_open`. After the open time it lets one call through as a probe, whose outcome decides. A probe that
   * takes longer than the open time gets company. `onState` hears of changes that this call causes.
   */
  admit(onState?: (state: BreakerState) => void): Permit;
}

type OnState = (state: BreakerState) => void;

export function createBreaker(target: string, settings: BreakerSettings): Breaker {
  let state: BreakerState = 'closed';
  let failures = 0;
  let openMs = settings.openMs;
  let openUntil = 0;
  let isProbing = false;
  let probeAt = 0;
  // Calls that began before the breaker last changed say nothing about its state now.
  let round = 0;

  const change = (next: BreakerState, onState: OnState): void => {
    if (state === next) return;
    state = next;
    round += 1;
    isProbing = false;
    onState(next);
  };
  const open = (onState: OnState): void => {
    openUntil = performance.now() + openMs;
    change('open', onState);
  };
  const refuse = (retryAfterMs: number): CallError =>
    new CallError(`${target} has failed repeatedly, so nothing is sent to it for a moment.`, {
      ...{ code: 'unavailable', reason: ownReasons.circuitOpen, retryable: true },
      retryAfterMs: Math.ceil(retryAfterMs),
    });
  const fail = (onState: OnState): void => {
    failures += 1;
    if (state === 'half-open') {
      openMs = Math.min(openMs * 2, settings.openMaxMs);
      open(onState);
    } else if (failures >= settings.failures) open(onState);
  };
  const succeed = (onState: OnState): void => {
    failures = 0;
    openMs = settings.openMs;
    change('closed', onState);
  };

  return {
    get state() {
      return state;
    },
    admit(onState = () => undefined) {
      if (state === 'open') {
        const leftMs = openUntil - performance.now();
        if (leftMs > 0) throw refuse(leftMs);
        change('half-open', onState);
      }
      // The probe takes an unknown time. A short wait is enough, because a retry asks again.
      if (state === 'half-open' && isProbing && performance.now() - probeAt < openMs)
        throw refuse(settings.openMs / 10);
      isProbing = state === 'half-open';
      probeAt = performance.now();
      const mine = round;
      const settle = (apply: (onState: OnState) => void) => (): void => {
        if (mine === round) apply(onState);
      };
      return { succeed: settle(succeed), fail: settle(fail), cancel: settle(() => (isProbing = false)) };
    },
  };
}
