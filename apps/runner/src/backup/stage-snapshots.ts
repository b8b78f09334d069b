import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError, writeFileAtomic } from '@soulbox/base';
import type { SnapshotRecord } from '../registry/snapshot-store.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { isStarted } from '../registry/started-snapshot.ts';
import type { Report } from './staged.ts';

/**
 * Puts all snapshots into a folder of the same file system, those of template builds included. Snapshots that the
 * server can make again are left out. A damaged one is left out and reported. Throws `disk_full`.
 */
export async function stageSnapshots(context: OperationContext, directory: string, report: Report): Promise<void> {
  await mkdir(join(directory, 'snapshots'), { recursive: true, mode: 0o700 });
  for (const snapshot of context.snapshots.list().filter(({ snapshotId }) => !isStarted(snapshotId)))
    await stageSnapshot(context, directory, snapshot, report);
}

async function stageSnapshot(
  { host, references, snapshots }: OperationContext,
  directory: string,
  snapshot: SnapshotRecord,
  report: Report,
): Promise<void> {
  const { snapshotId, stateId: checkpointId, layers } = snapshot;
  using _hold = references.hold({ checkpoints: [checkpointId], layers });
  // It may have been deleted while earlier ones were staged.
  if (!snapshots.list().some((present) => present.snapshotId === snapshotId)) return;
  try {
    await host.checkpoints.linkInto(directory, [checkpointId], layers);
  } catch (error) {
    // It is damaged in the data folder too. The others are worth a backup.
    if (!(error instanceof SoulBoxError) || error.reason === 'disk_full') throw error;
    host.logger.warn({ snapshotId, err: error }, 'snapshot left out of a backup');
    report({ what: 'snapshot', id: snapshotId, leftOut: error.message });
    return;
  }
  await writeFileAtomic(join(directory, 'snapshots', `${snapshotId}.json`), await snapshots.textOf(snapshot));
  report({ what: 'snapshot', id: snapshotId });
}
