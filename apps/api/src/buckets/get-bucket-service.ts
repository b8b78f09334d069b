import { SoulBoxError } from '@soulbox/base';
import type { BucketService } from '../bucket-service/bucket-service.ts';
import type { ApiContext } from '../context.ts';

/** Throws `not_implemented` on a server without buckets. */
export function getBucketService({ bucketService }: ApiContext): BucketService {
  if (bucketService !== undefined) return bucketService;
  throw new SoulBoxError('not_implemented', 'Buckets are not available on this server.');
}
