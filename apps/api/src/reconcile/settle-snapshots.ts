import type { Snapshot } from '@soulbox/contract/runner';
import type { SnapshotRecord } from '@soulbox/storage';
import { isBuildSnapshot } from '../names/build-id.ts';
import { listExpectedBuilds, settleBuilds } from './settle-builds.ts';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { madeFrom } from '../runner/snapshot-facts.ts';
import { defaultTag } from '../names/reference.ts';
import { forgetQuietly } from '../snapshots/forget.ts';

/**
 * Reconciles the rows of snapshots and builds with the runner after one of them was away. Intents become snapshots or
 * are dropped, deletions are completed, rows without a snapshot are removed, and snapshots without a row are adopted.
 * Snapshots of current requests are skipped. Never throws: the next connection tries again.
 */
export async function settleSnapshots(context: ApiContext): Promise<void> {
  try {
    // Rows are read first. A snapshot that is created between the two reads has no row here, and adopting a known one
    // does nothing.
    const rows = await context.records.snapshots.listAll();
    const builds = await listExpectedBuilds(context);
    const { snapshots } = await callRunner((options) => context.runner.listSnapshots({}, options));
    const present = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
    for (const row of rows) if (!context.snapshotsUnderway.has(row.id)) await settle(context, row, present.get(row.id));
    const known = new Set(rows.map((row) => row.id));
    for (const snapshot of snapshots)
      if (!known.has(snapshot.snapshotId) && !isBuildSnapshot(snapshot.snapshotId)) await adopt(context, snapshot);
    await settleBuilds(context, builds, snapshots);
  } catch (thrown) {
    context.logger.warn({ err: thrown }, 'snapshots could not be compared with those of the runner');
  }
}

async function settle(context: ApiContext, row: SnapshotRecord, present: Snapshot | undefined): Promise<void> {
  if (row.state === 'deleting') await forgetQuietly(context, row.id);
  else if (present === undefined) await drop(context, row);
  else if (row.state === 'making') {
    const replaced = (await context.records.snapshots.complete(row.id, madeFrom(present))) ?? [];
    for (const old of replaced) await forgetQuietly(context, old);
  }
}

async function drop(context: ApiContext, row: SnapshotRecord): Promise<void> {
  if (row.state === 'ready') context.logger.warn({ snapshotId: row.id }, 'snapshot is no longer on the runner');
  await context.records.snapshots.remove(row.id);
}

/** Its name was lost with its row. */
async function adopt(context: ApiContext, snapshot: Snapshot): Promise<void> {
  const { snapshotId: id, teamId, sandboxId, templateId, cpuCount, memoryMb, diskSizeMb, isolation } = snapshot;
  const facts = { id, teamId, sandboxId, templateId, cpuCount, memoryMb, diskSizeMb, isolation, ...madeFrom(snapshot) };
  if (await context.records.snapshots.adopt({ ...facts, name: '', tag: defaultTag }))
    context.logger.info({ snapshotId: id, team: teamId }, 'snapshot adopted');
}
