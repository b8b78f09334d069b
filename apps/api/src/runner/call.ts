import type { CallOptions } from '@connectrpc/connect';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { runnerCallMs } from '../limits.ts';
import { noteOperations } from '../timings.ts';

/** Makes one call to the runner with a deadline, and converts its error to ours. */
export async function callRunner<T>(
  call: (options: CallOptions) => Promise<T>,
  timeoutMs: number = runnerCallMs,
): Promise<T> {
  try {
    const answer = await call({ timeoutMs });
    noteOperations(answer);
    return answer;
  } catch (thrown) {
    throw errorFromConnect(thrown);
  }
}
