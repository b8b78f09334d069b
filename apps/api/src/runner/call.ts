import type { CallOptions } from '@connectrpc/connect';
import { errorFromConnect } from '@soulbox/contract';
import { runnerCallMs } from '../limits.ts';

/** Makes one call to the runner with a deadline, and converts its error to ours. */
export async function callRunner<T>(
  call: (options: CallOptions) => Promise<T>,
  timeoutMs: number = runnerCallMs,
): Promise<T> {
  try {
    return await call({ timeoutMs });
  } catch (thrown) {
    throw errorFromConnect(thrown);
  }
}
