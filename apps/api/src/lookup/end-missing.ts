import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { findInRunner } from './in-runner.ts';

/**
 * Ends rows of sandboxes that are missing from the runner's list. The runner is asked for each of them once more
 * before.
 */
export async function endMissing(context: ApiContext, missing: Iterable<SandboxRecord>): Promise<void> {
  for (const { id, state, endAt, lifecycle } of missing) {
    if ((await findInRunner(context, id)) !== undefined) continue;
    const now = context.clock.now();
    const expired = state === 'running' && lifecycle.onTimeout === 'kill' && endAt <= now;
    const cause = expired ? 'timeout' : 'lost';
    if (await context.records.sandboxes.end(id, cause, expired ? endAt : now))
      context.logger.warn({ sandboxId: id, cause }, 'sandbox is no longer on the runner');
  }
}
