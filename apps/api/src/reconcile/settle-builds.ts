import type { Snapshot } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { buildIdFromRunner, isBuildSnapshot, runnerIdOf } from '../names/build-id.ts';

const lostReason = { message: 'The result of this build is no longer on the host. Build it again.', step: '' };

/** The builds of all teams that the runner must have. Read before the runner's list. */
export async function listExpectedBuilds(context: ApiContext): Promise<readonly string[]> {
  return await context.records.builds.listTagged();
}

/**
 * Reconciles builds with the runner's snapshots. A build whose snapshot is gone can no longer be used. A snapshot that
 * no tag and no running build needs is deleted.
 */
export async function settleBuilds(
  context: ApiContext,
  expected: readonly string[],
  snapshots: readonly Snapshot[],
): Promise<void> {
  const present = new Set(snapshots.map(({ snapshotId }) => snapshotId).filter(isBuildSnapshot));
  for (const buildId of expected) {
    if (present.delete(runnerIdOf(buildId))) continue;
    context.logger.warn({ buildId }, 'build is no longer on the runner');
    await context.records.builds.lose(buildId, lostReason, context.clock.now());
  }
  for (const snapshotId of present) await context.builder.forget(buildIdFromRunner(snapshotId));
}
