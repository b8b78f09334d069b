import type { StorageFigures } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import type { MetricFamily } from '../meters/text-format.ts';
import { callRunner } from '../runner/call.ts';
import type { VolumeStorage } from '../volume-service/volume-service.ts';
import { volumeStorageOf } from '../volumes/storage.ts';

type Figure<T> = readonly [name: string, type: MetricFamily['type'], help: string, read: (storage: T) => number];

const figures: readonly Figure<StorageFigures>[] = [
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
    ({ pendingBytes }) => Number(pendingBytes),
  ],
  [
    'soulbox_storage_uploads_total',
    'counter',
    'Uploads of sandboxes and snapshots to the object store.',
    ({ uploads }) => Number(uploads),
  ],
  [
    'soulbox_storage_uploaded_bytes_total',
    'counter',
    'Bytes of these uploads, compressed.',
    ({ uploadedBytes }) => Number(uploadedBytes),
  ],
  [
    'soulbox_storage_failures_total',
    'counter',
    'Uploads that have failed. They are tried again.',
    ({ failures }) => Number(failures),
  ],
  [
    'soulbox_storage_local_bytes',
    'gauge',
    'Bytes of saved memory and layers on the disk of the host.',
    ({ localBytes }) => Number(localBytes),
  ],
  [
    'soulbox_storage_evictions_total',
    'counter',
    'Copies of saved memory and layers that were removed from the host because the object store has them.',
    ({ evictions }) => Number(evictions),
  ],
  ['soulbox_storage_evicted_bytes_total', 'counter', 'Their bytes.', ({ evictedBytes }) => Number(evictedBytes)],
  [
    'soulbox_storage_fetches_total',
    'counter',
    'Fetches of saved memory, disks, layers and templates from the object store.',
    ({ fetches }) => Number(fetches),
  ],
  [
    'soulbox_storage_fetched_bytes_total',
    'counter',
    'Bytes that were fetched, compressed.',
    ({ fetchedBytes }) => Number(fetchedBytes),
  ],
  [
    'soulbox_storage_fetch_failures_total',
    'counter',
    'Fetches that have failed.',
    ({ fetchFailures }) => Number(fetchFailures),
  ],
];

const volumeFigures: readonly Figure<VolumeStorage>[] = [
  [
    'soulbox_storage_volumes_available',
    'gauge',
    '0 while volumes cannot be uploaded to the object store.',
    ({ state }) => (state === 'away' || state === 'refused' ? 0 : 1),
  ],
  [
    'soulbox_storage_volumes_behind',
    'gauge',
    'Volumes with changes that are not in the object store yet.',
    ({ wanted, uploaded }) => wanted - uploaded,
  ],
  [
    'soulbox_storage_volumes_behind_seconds',
    'gauge',
    'Age of the oldest change of a volume that is not in the object store yet.',
    ({ behind }) => Math.max(0, ...behind.map(({ seconds }) => seconds)),
  ],
  [
    'soulbox_storage_volumes_uploaded_bytes_total',
    'counter',
    'Bytes of volumes that were uploaded, since the start of the volume service.',
    ({ uploadedBytes }) => uploadedBytes,
  ],
  [
    'soulbox_storage_volumes_failures_total',
    'counter',
    'Uploads of volumes that have failed. They are tried again.',
    ({ failures }) => failures,
  ],
];

/** Empty without an object store. */
export async function storageFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const { figures: storage } = await callRunner((options) => context.runner.getStorage({}, options));
  if (storage === undefined) return [];
  const volumes = await volumeStorageOf(context);
  return [
    ...figures.map(([name, type, help, read]) => familyOf(name, { type, help }, read(storage))),
    ...volumeFigures.map(([name, type, help, read]) => familyOf(name, { type, help }, read(volumes))),
  ];
}

function familyOf(name: string, about: Pick<MetricFamily, 'type' | 'help'>, value: number): MetricFamily {
  return { name, ...about, samples: [{ labels: {}, value }] };
}
