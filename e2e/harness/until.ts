import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `check` returns something other than false or undefined. Throws after `timeoutMs` and names `what`. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const giveUpAt = Date.now() + timeoutMs;
  while (Date.now() < giveUpAt) {
    const value = await check();
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    await sleep(20);
  }
  throw new Error(`${what}: not within ${String(timeoutMs)} ms`);
}
