import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';

/** Deletes a snapshot whose row is `deleting`, first in the runner and then in the records. Safe to repeat. */
export async function forgetSnapshot(context: ApiContext, id: string): Promise<void> {
  await callRunner((options) => context.runner.deleteSnapshot({ snapshotId: id }, options));
  await context.records.snapshots.remove(id);
}

/**
 * The same without an error for the caller: after a failure, the next comparison of records and runner completes it.
 */
export async function forgetQuietly(context: ApiContext, id: string): Promise<void> {
  await context.records.snapshots.beginDelete(id);
  try {
    await forgetSnapshot(context, id);
  } catch (thrown) {
    context.logger.warn({ snapshotId: id, err: thrown }, 'snapshot could not be deleted yet');
  }
}
