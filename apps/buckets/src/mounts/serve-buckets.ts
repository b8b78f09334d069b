import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createBucketFs, createReadBudget, createScratchSpace } from '@soulbox/buckets';
import type { BucketFs, ScratchSpace } from '@soulbox/buckets';
import { createMounts } from '@soulbox/fuse-mounts';
import type { MountOrder, Mounts, MountWork } from '@soulbox/fuse-mounts';
import { lossLogMs, readBudgetBytes, teamScratchBytes } from '../limits.ts';
import type { BucketPlace, BucketStores } from '../stores/bucket-stores.ts';
import type { MountFolders } from './mount-folders.ts';

export interface BucketOrder extends MountOrder {
  readonly place: BucketPlace;
  /** The beginning of all keys in the mount: empty, or it ends with `/`. */
  readonly prefix: string;
  readonly isReadOnly: boolean;
}

export interface BucketMounts extends Mounts<BucketOrder> {
  /** Writes what a mount of the bucket has not written yet. Throws the errors of the store, and `bad_request`. */
  sync(place: BucketPlace, mount: string): Promise<void>;
}

export interface BucketMountsOptions {
  readonly stores: BucketStores;
  readonly folders: MountFolders;
  /** Called with the number of mounts after each change. */
  readonly onMounts?: ((count: number) => void) | undefined;
  readonly logger: Logger;
}

export function createBucketMounts({ stores, folders, onMounts, logger }: BucketMountsOptions): BucketMounts {
  const spaces = new Map<string, ScratchSpace>();
  const budget = createReadBudget(readBudgetBytes);
  const served = new Map<string, BucketFs>();
  const spaceOf = (teamId: string): ScratchSpace => {
    const space = spaces.get(teamId) ?? createScratchSpace(teamScratchBytes);
    spaces.set(teamId, space);
    return space;
  };
  const run = async (order: BucketOrder, work: MountWork): Promise<void> => {
    const { mount, place, prefix, isReadOnly, isTakeover } = order;
    if (isTakeover && !folders.exists(mount))
      work.logger.warn({}, 'a mount of a bucket has lost what the kernel knows of it');
    await using used = stores.use(place);
    let loggedAt = -Infinity;
    await using bucket = createBucketFs(used.store, {
      isReadOnly: () => isReadOnly || used.isReadOnly(),
      ...{ prefix, budget, folder: folders.of(mount), space: spaceOf(place.teamId) },
      onLoss(err) {
        // A program can make as many as it likes.
        if (performance.now() - loggedAt < lossLogMs) return;
        loggedAt = performance.now();
        work.logger.warn({ err }, 'what was written to a file of a bucket is lost');
      },
    });
    served.set(keyOf(place, mount), bucket);
    try {
      await work.waitForEnd(await work.serve(bucket.fs));
    } finally {
      served.delete(keyOf(place, mount));
    }
  };
  const mounts = createMounts<BucketOrder>({
    noun: 'bucket',
    isSame: (one, other) => isSamePlace(one.place, other.place) && one.prefix === other.prefix,
    teamOf: ({ place }) => place.teamId,
    fieldsOf: ({ place }) => ({ bucketId: place.bucketId }),
    run,
    ...(onMounts === undefined ? {} : { onMounts }),
    logger,
  });
  return {
    ...mounts,
    async sync(place, mount) {
      const bucket = served.get(keyOf(place, mount));
      if (bucket === undefined) throw new SoulBoxError('bad_request', 'The mount is not served. Give it again.');
      try {
        await bucket.sync();
      } catch (cause) {
        throw cause instanceof SoulBoxError
          ? cause
          : new SoulBoxError('storage_unavailable', 'Files of the bucket could not be written.', { cause });
      }
    },
  };
}

const keyOf = ({ teamId, bucketId }: BucketPlace, mount: string): string => `${teamId}/${bucketId}/${mount}`;

const isSamePlace = (one: BucketPlace, other: BucketPlace): boolean =>
  one.teamId === other.teamId && one.bucketId === other.bucketId;
