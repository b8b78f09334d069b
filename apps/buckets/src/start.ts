import { readFileSync } from 'node:fs';
import type { Logger } from '@soulbox/base';
import type { BucketRecords } from '@soulbox/contract/bucket-record-service';
import { createAliveCalls, startServiceServer } from '@soulbox/fuse-mounts';
import { createDescriptorReceiver } from '@soulbox/process';
import type { StoreLimits } from '@soulbox/storage/objects';
import type { LookupFunction } from 'node:net';
import { silenceMs, takeoverMs } from './limits.ts';
import { openMountFolders } from './mounts/mount-folders.ts';
import { createBucketMounts } from './mounts/serve-buckets.ts';
import { createHandler } from './requests/handle.ts';
import { createBucketStores } from './stores/bucket-stores.ts';
import { openBucketStore } from './stores/open-store.ts';

export interface BucketServerOptions {
  /** For files that are being changed, and for what the kernel knows of mounts. */
  readonly directory: string;
  /** A Unix socket that is already bound, or its path. */
  readonly place: { readonly fd: number } | { readonly path: string };
  /** Our end of the channel on which the runner passes the devices of mounts. Absent: nothing can be mounted. */
  readonly channel?: number;
  /** Tells where buckets are. */
  readonly records: BucketRecords;
  /** Resolves the names of endpoints, and fails with `ForbiddenAddressError` for private ones. */
  readonly lookup: LookupFunction;
  /** Called with the number of mounts after each change. */
  readonly onMounts?: (count: number) => void;
  readonly logger: Logger;
  /** For tests. */
  readonly limits?: Partial<StoreLimits>;
  readonly freshMs?: number;
}

/** Disposing ends open calls, and leaves the mounts to the next service. */
export type BucketServer = AsyncDisposable;

/**
 * Serves mounts of buckets for the runner, and checks of them for the control plane, over HTTP on a Unix socket that
 * nobody else can open (docs/decisions/068-buckets.md).
 */
export async function startBucketService(options: BucketServerOptions): Promise<BucketServer> {
  const { directory, place, channel, records, lookup, onMounts, logger, limits, freshMs } = options;
  await using started = new AsyncDisposableStack();
  const stores = started.use(
    createBucketStores({
      records,
      open: async (access) => await openBucketStore(access, { lookup, limits }),
      logger,
      ...(freshMs === undefined ? {} : { freshMs }),
    }),
  );
  const receiver = channel === undefined ? undefined : started.use(createDescriptorReceiver(channel));
  const served = { has: (_mount: string): boolean => false };
  const folders = started.use(
    await openMountFolders({
      ...{ directory, bootId: readBootId(), takeoverMs, logger },
      isServed: (mount) => served.has(mount),
    }),
  );
  const mounts = started.use(createBucketMounts({ stores, folders, onMounts, logger }));
  served.has = (mount) => mounts.list().includes(mount);
  const alive = createAliveCalls();
  const handle = createHandler({ stores, mounts, alive, take: (ticket) => receiver?.take(ticket), logger });
  started.use(await startServiceServer({ place, alive, handle, silenceMs, logger }));
  const owned = started.move();
  return { [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** Of the running host. */
const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
