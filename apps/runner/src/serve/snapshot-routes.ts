import type { ServiceImpl } from '@connectrpc/connect';
import type { RunnerService } from '@soulbox/contract/runner';
import { deleteSnapshot, makeSnapshot } from '../operations/copies/snapshot.ts';
import { isStarted } from '../registry/started-snapshot.ts';
import type { Answers } from './answer.ts';
import { checkTeam } from './check-request.ts';
import type { ServeContext } from './serve-context.ts';
import { snapshotToMessage } from './to-message.ts';

/** Serves snapshots. Those of started templates are not listed. */
export function createSnapshotRoutes(
  context: ServeContext,
  { answer, timed }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  const { table, usageOf } = context;
  return {
    makeSnapshot: timed(async ({ sandboxId, snapshotId, teamLimits, ownVolumes }, { signal }) => {
      checkTeam(usageOf, table.getTenants(sandboxId).record.tenant.teamId, teamLimits, 'diskBytes');
      const own = ownVolumes === undefined ? undefined : { copies: ownVolumes.copies, signal };
      return { snapshot: snapshotToMessage(await makeSnapshot(context, sandboxId, snapshotId, own)) };
    }),

    deleteSnapshot: answer(async (request) => ({ existed: await deleteSnapshot(context, request.snapshotId) })),

    getSnapshot: answer(async ({ snapshotId }) =>
      Promise.resolve({ snapshot: snapshotToMessage(context.snapshots.get(snapshotId)) }),
    ),

    listSnapshots: answer(async () =>
      Promise.resolve({
        snapshots: context.snapshots
          .list()
          .filter(({ snapshotId }) => !isStarted(snapshotId))
          .map((snapshot) => snapshotToMessage(snapshot)),
      }),
    ),
  };
}
