import type { CallOptions } from '@connectrpc/connect';
import { errorFromConnect } from '@soulbox/contract';
import { runnerCallMs } from '../limits.ts';

/** One call to the runner: with a deadline, and its failure as an error of ours. */
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
