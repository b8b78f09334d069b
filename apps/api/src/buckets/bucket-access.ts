import type { BucketRecords } from '@soulbox/contract/bucket-record-service';
import type { ApiContext } from '../context.ts';
import { bucketNotFound } from '../lookup/bucket.ts';
import { placeOfCredentials } from './credentials.ts';

/** Tells the bucket service where a bucket is, with its credentials. They leave the process here, and nowhere else. */
export function createBucketAccess({ records, keyring }: ApiContext): BucketRecords {
  return {
    async get({ teamId, bucketId }) {
      const bucket = await records.buckets.findById(teamId, bucketId);
      const sealed = await records.buckets.findSealedCredentials(teamId, bucketId);
      if (bucket === undefined || sealed === undefined) throw bucketNotFound(bucketId);
      const { name, url, isReadOnly } = bucket;
      const credentials = sealed === '' ? '' : (await keyring.open(sealed, placeOfCredentials(bucket))).reveal();
      return { name, url, credentials, isReadOnly };
    },
  };
}
