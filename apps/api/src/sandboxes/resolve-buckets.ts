import { SoulBoxError } from '@soulbox/base';
import type { BucketRecord, TeamRecord } from '@soulbox/storage';
import { checkObjectKey, parseStorageUrl } from '@soulbox/storage/objects';
import { getBucketService } from '../buckets/get-bucket-service.ts';
import type { ApiContext } from '../context.ts';
import { getBucket } from '../lookup/bucket.ts';
import type { NewSandbox } from './new-sandbox-schema.ts';
import type { VolumeToMount } from './resolve-volumes.ts';

type WantedMount = NonNullable<NewSandbox['bucketMounts']>[number];

/**
 * The buckets of a create in the form of the runner. Throws `bucket_not_found`, `bad_request` for a prefix that cannot be
 * one, and `not_implemented` on a server without buckets.
 */
export async function resolveBuckets(
  context: ApiContext,
  team: TeamRecord,
  mounts: readonly WantedMount[] = [],
): Promise<VolumeToMount[]> {
  if (mounts.length === 0) return [];
  getBucketService(context);
  const resolved: VolumeToMount[] = [];
  for (const mount of mounts) resolved.push(mountToRunner(await getBucket(context, team, mount.name), mount));
  return resolved;
}

function mountToRunner({ id, name, url, isReadOnly }: BucketRecord, mount: WantedMount): VolumeToMount {
  return {
    ...{ volumeId: id, groupId: id, name, path: mount.path, readOnly: mount.readOnly || isReadOnly },
    ...{ sizeBytes: 0n, teamBytes: 0n, isBucket: true, prefix: prefixFrom(mount.prefix, url) },
  };
}

/** Empty, or with a slash at its end. It must be a legal key of an object, together with the prefix of the bucket. */
function prefixFrom(text: string, url: string): string {
  if (text === '') return '';
  const prefix = text.endsWith('/') ? text : `${text}/`;
  try {
    checkObjectKey(prefix, parseStorageUrl(url).prefix);
  } catch (thrown) {
    if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'bad_request') throw thrown;
    throw new SoulBoxError('bad_request', `bucketMounts: prefix: ${thrown.message}`, { cause: thrown });
  }
  if (prefix.startsWith('/')) throw new SoulBoxError('bad_request', 'bucketMounts: prefix must not begin with "/".');
  return prefix;
}
