import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';

/** Has the runner forget a snapshot whose row is `deleting`, then the records. Safe to repeat. */
export async function forgetSnapshot(context: ApiContext, id: string): Promise<void> {
  await callRunner((options) => context.runner.deleteSnapshot({ snapshotId: id }, options));
  await context.records.snapshots.remove(id);
}

/** The same for one that nobody waits for: what fails now is done when records and runner are next compared. */
export async function forgetQuietly(context: ApiContext, id: string): Promise<void> {
  await context.records.snapshots.beginDelete(id);
  try {
    await forgetSnapshot(context, id);
  } catch (thrown) {
    context.logger.warn({ snapshotId: id, err: thrown }, 'snapshot could not be deleted yet');
  }
}
