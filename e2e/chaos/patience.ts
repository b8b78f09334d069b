import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxNotFoundError } from 'e2b';

/** The server is down for about a second at a time. Anything longer is a fault. */
const patienceMs = 300_000;
const pauseMs = 25;

/**
 * Repeats a call until the server answers it. "Not found" is an answer, too. Throws the last error after more than five
 * minutes.
 */
export async function untilAnswered<T>(act: () => Promise<T>, onRetry: () => void): Promise<T> {
  const giveUpAt = Date.now() + patienceMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (error instanceof SandboxNotFoundError || Date.now() > giveUpAt) throw error;
      onRetry();
      await sleep(pauseMs);
    }
  }
}
