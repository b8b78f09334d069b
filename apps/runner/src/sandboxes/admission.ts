import { SoulBoxError } from '@soulbox/base';

/** Keeps the number of tenants' sandboxes under the host's limit, creates that are still under way included. */
export interface Admission {
  /** Takes a place for the time of one create. Throws `too_many_sandboxes`. */
  enter(): Disposable;
}

export function createAdmission(limit: number, runningCount: () => number): Admission {
  let underWay = 0;
  return {
    enter() {
      if (runningCount() + underWay >= limit) {
        throw new SoulBoxError('too_many_sandboxes', `This host runs its limit of ${limit} sandboxes. Retry later.`);
      }
      underWay++;
      return {
        [Symbol.dispose]() {
          underWay--;
        },
      };
    },
  };
}
