import { SandboxNotFoundError } from 'e2b';
import { sleep } from '@soulbox/base';

/** The server is away for a second or so at a time; what takes longer is a fault. */
const patienceMs = 300_000;
const pauseMs = 25;

/**
 * Makes a call again until the server answers it: that it knows no such sandbox is an answer, too. Throws the last error when
 * that takes over five minutes.
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
