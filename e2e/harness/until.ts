import { setTimeout as sleep } from 'node:timers/promises';

/** Between two checks that start a program: it would take a processor from what the test waits for. */
export const programEveryMs = 1000;

/**
 * Waits until `check` returns something other than false or undefined, and checks `everyMs` after each answer. Throws
 * after `timeoutMs` and names `what`.
 */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = 10_000,
  everyMs = 20,
): Promise<Exclude<T, false | undefined>> {
  const giveUpAt = Date.now() + timeoutMs;
  while (Date.now() < giveUpAt) {
    const value = await check();
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    await sleep(everyMs);
  }
  throw new Error(`${what}: not within ${String(timeoutMs)} ms`);
}
