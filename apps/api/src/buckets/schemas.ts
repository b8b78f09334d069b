import type { BucketRecord } from '@soulbox/storage';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { stringMap } from '../http/string-map.ts';
import { bucketIdForm } from '../lookup/bucket.ts';

const nameMax = 128;
const urlMax = 2048;
/** Those of the key of a service account of Google, with room. */
const credentialLimits = { entries: 32, keyBytes: 64, valueBytes: 16 * 1024 } as const;

const name = z
  .string()
  .min(1)
  .max(nameMax)
  .regex(/^[a-zA-Z0-9_-]+$/, 'may only contain letters, digits, "_" and "-"')
  .refine((text) => !bucketIdForm.test(text), 'must not have the form of an id')
  .describe('Unique in the team.');

const url = z
  .string()
  .min(1)
  .max(urlMax)
  .describe(
    'Where the bucket is: `s3://`, `r2://`, `gs://` or `azblob://`, with a prefix if only a part of it is meant (docs/storage.md). It has no credentials. It cannot be changed.',
  );

const credentials = stringMap(
  credentialLimits,
  'In the form of a file of credentials for this store (docs/storage.md). Encrypted at rest and never returned.',
);

const readOnly = z.boolean().describe('No sandbox can change the bucket, whatever the credentials allow.');

export const newBucketSchema = z
  .object({
    name,
    url,
    credentials: credentials.optional().describe('Absent: the bucket is public, and requests have no signature.'),
    readOnly: readOnly.default(false),
  })
  .meta({ id: 'NewBucket' });

export const bucketChangesSchema = z
  .object({
    credentials: credentials.nullable().optional().describe('Null: the bucket is public. Absent: unchanged.'),
    readOnly: readOnly.optional().describe('Also for mounts that exist. Absent: unchanged.'),
  })
  .refine((changes) => Object.values(changes).some((value) => value !== undefined), 'must change something')
  .meta({ id: 'BucketChanges' });

export const bucketSchema = z
  .object({
    bucketID: z.string().describe('`b` and 20 characters of `[a-z0-9]`'),
    name: z.string(),
    url: z.string(),
    hasCredentials: z.boolean().describe('False: requests to the store have no signature.'),
    readOnly: z.boolean(),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'Bucket', description: 'A bucket of an object store, without its credentials.' });

export function bucketToWire(bucket: BucketRecord): z.infer<typeof bucketSchema> {
  const { id, url: place, hasCredentials, isReadOnly, createdAt, updatedAt } = bucket;
  return {
    ...{ bucketID: id, name: bucket.name, url: place, hasCredentials, readOnly: isReadOnly },
    ...{ createdAt: timeToWire(createdAt), updatedAt: timeToWire(updatedAt) },
  };
}
