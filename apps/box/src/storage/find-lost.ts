import { join } from 'node:path';
import { openDiskReserve, openSqliteRecords, recordsFileName } from '@soulbox/storage';

/** A sandbox, snapshot, template build, volume, or blobs that were not in the store, and why. */
export interface Lost {
  readonly what: 'sandbox' | 'snapshot' | 'build' | 'volume' | 'blobs';
  /** Of blobs, the name of their folder. */
  readonly id: string;
  readonly reason: string;
}

const wasRunning = 'It was running. Only what sleeps is uploaded.';
const notUploaded = 'Its upload had not finished.';

/** What the records name and nobody has found. */
export async function findLost(
  dataDirectory: string,
  found: readonly { readonly what: Lost['what']; readonly id: string }[],
): Promise<Lost[]> {
  // The snapshot of a build has its id without dashes.
  const plain = (id: string): string => id.replaceAll('-', '');
  const ids = new Set(found.map(({ id }) => id));
  const reserve = openDiskReserve(join(dataDirectory, 'reserve'));
  const records = openSqliteRecords(join(dataDirectory, recordsFileName), { reserve });
  await using _records = records;
  const sandboxes = (await records.sandboxes.listLive()).map(({ id, state }): Lost => ({
    ...{ what: 'sandbox', id },
    reason: state === 'paused' ? notUploaded : wasRunning,
  }));
  const snapshots = (await records.snapshots.listAll())
    .filter(({ state }) => state === 'ready')
    .map(({ id }): Lost => ({ what: 'snapshot', id, reason: notUploaded }));
  const builds = (await records.builds.listTagged()).map((id): Lost => ({ what: 'build', id, reason: notUploaded }));
  return [...sandboxes, ...snapshots, ...builds].filter(({ id }) => !ids.has(plain(id)));
}
