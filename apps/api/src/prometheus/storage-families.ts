import type { StorageFigures } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import type { MetricFamily } from '../meters/text-format.ts';
import { callRunner } from '../runner/call.ts';

type Figure = readonly [
  name: string,
  type: MetricFamily['type'],
  help: string,
  read: (storage: StorageFigures) => number | bigint,
];

const figures: readonly Figure[] = [
  [
    'soulbox_storage_available',
    'gauge',
    '0 while the object store cannot be used, or another server has taken its place over.',
    ({ state }) => (state === 'away' || state === 'refused' ? 0 : 1),
  ],
  [
    'soulbox_storage_pending',
    'gauge',
    'Paused sandboxes and snapshots that are not in the object store yet.',
    ({ wanted, uploaded }) => wanted - uploaded,
  ],
  [
    'soulbox_storage_pending_bytes',
    'gauge',
    'Their bytes on the disk of the host.',
    ({ pendingBytes }) => pendingBytes,
  ],
  [
    'soulbox_storage_uploads_total',
    'counter',
    'Uploads of sandboxes and snapshots to the object store.',
    ({ uploads }) => uploads,
  ],
  [
    'soulbox_storage_uploaded_bytes_total',
    'counter',
    'Bytes of these uploads, compressed.',
    ({ uploadedBytes }) => uploadedBytes,
  ],
  [
    'soulbox_storage_failures_total',
    'counter',
    'Uploads that have failed. They are tried again.',
    ({ failures }) => failures,
  ],
  [
    'soulbox_storage_local_bytes',
    'gauge',
    'Bytes of saved memory and layers on the disk of the host.',
    ({ localBytes }) => localBytes,
  ],
  [
    'soulbox_storage_evictions_total',
    'counter',
    'Copies of saved memory and layers that were removed from the host because the object store has them.',
    ({ evictions }) => evictions,
  ],
  ['soulbox_storage_evicted_bytes_total', 'counter', 'Their bytes.', ({ evictedBytes }) => evictedBytes],
  [
    'soulbox_storage_fetches_total',
    'counter',
    'Fetches of saved memory, disks, layers and templates from the object store.',
    ({ fetches }) => fetches,
  ],
  [
    'soulbox_storage_fetched_bytes_total',
    'counter',
    'Bytes that were fetched, compressed.',
    ({ fetchedBytes }) => fetchedBytes,
  ],
  [
    'soulbox_storage_fetch_failures_total',
    'counter',
    'Fetches that have failed.',
    ({ fetchFailures }) => fetchFailures,
  ],
];

/** Empty without an object store. */
export async function storageFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const { figures: storage } = await callRunner((options) => context.runner.getStorage({}, options));
  if (storage === undefined) return [];
  return figures.map(([name, type, help, read]) => ({
    ...{ name, help, type },
    samples: [{ labels: {}, value: Number(read(storage)) }],
  }));
}
