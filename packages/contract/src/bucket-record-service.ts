import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { BucketRecordService } from '@soulbox/contract/control-buckets';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';

/** Where a bucket of a team is. */
export interface BucketAccess {
  readonly name: string;
  /** A storage URL (docs/storage.md), never `file:`. */
  readonly url: string;
  /** A JSON object, in the form of a credentials file. Empty: the bucket is public. */
  readonly credentials: string;
  /** No mount may write. */
  readonly isReadOnly: boolean;
}

/** What the bucket service asks of the control plane, which owns the records and the secrets. */
export interface BucketRecords {
  /** Throws `bucket_not_found`. */
  get(bucket: { readonly teamId: string; readonly bucketId: string }): Promise<BucketAccess>;
}

const callMs = 10_000;

/** Serves these calls for the bucket service. */
export function addBucketRecords(router: ConnectRouter, records: BucketRecords, logger: Logger): void {
  router.service(BucketRecordService, {
    getBucket: async ({ teamId, bucketId }) => {
      try {
        const { isReadOnly, ...access } = await records.get({ teamId, bucketId });
        return { ...access, readOnly: isReadOnly };
      } catch (thrown) {
        const error = errorForCaller(errorFromUnknown(thrown));
        if (error.reason === 'internal') logger.error({ err: thrown }, 'call of the bucket service failed');
        throw connectErrorFromError(error);
      }
    },
  });
}

/** The client of these calls, for the bucket service. Throws `control_unavailable` if the control plane is away. */
export function createBucketRecords(transport: Transport): BucketRecords {
  const client = createClient(BucketRecordService, transport);
  return {
    async get(bucket) {
      try {
        const { name, url, credentials, readOnly } = await client.getBucket(bucket, { timeoutMs: callMs });
        return { name, url, credentials, isReadOnly: readOnly };
      } catch (thrown) {
        throw errorFromConnect(thrown, controlAway);
      }
    },
  };
}
