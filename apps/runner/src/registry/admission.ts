import { SoulBoxError } from '@soulbox/base';
import type { TenantSandbox } from './table.ts';
import { looksPaused } from './table.ts';

/** Keeps the number of tenants' sandboxes under the host's limits. Sandboxes that are still being made count too. */
export interface Admission {
  /** Counts sandboxes until disposed, at the end of their create, resume or fork. Throws `too_many_sandboxes`. */
  enter(count?: number): Disposable;
  /** Throws `limit_exceeded` when no more sandboxes may be paused here. */
  checkPaused(): void;
}

export interface AdmissionLimits {
  /** Sandboxes that run at once. */
  readonly maxSandboxes: number;
  readonly maxPaused: number;
}

export function createAdmission(limits: AdmissionLimits, tenants: () => readonly TenantSandbox[]): Admission {
  let underWay = 0;
  const count = (paused: boolean): number => tenants().filter((sandbox) => looksPaused(sandbox) === paused).length;
  return {
    enter(places = 1) {
      if (count(false) + underWay + places > limits.maxSandboxes) {
        throw new SoulBoxError(
          'too_many_sandboxes',
          `The host has reached its limit of ${limits.maxSandboxes} sandboxes. Retry later.`,
        );
      }
      underWay += places;
      return {
        [Symbol.dispose]() {
          underWay -= places;
        },
      };
    },
    checkPaused() {
      if (count(true) < limits.maxPaused) return;
      throw new SoulBoxError(
        'limit_exceeded',
        `The host has reached its limit of ${limits.maxPaused} paused sandboxes. Kill some or retry later.`,
      );
    },
  };
}
