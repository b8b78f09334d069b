import { Secret, SoulBoxError } from '@soulbox/base';
import type { Place } from '@soulbox/keyring';
import type { BucketRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { BucketKind } from './bucket-url.ts';

const text = z.string().min(1);

/** The members of a file of credentials that are used, by kind of store (docs/storage.md). */
const forms = {
  s3: {
    schema: z.strictObject({ accessKeyId: text, secretAccessKey: text, sessionToken: text.optional() }),
    wanted: '"accessKeyId" and "secretAccessKey", and optionally "sessionToken"',
  },
  // Google's file has more members, among them addresses, which must not be used.
  gcs: {
    schema: z.object({
      type: z.literal('service_account'),
      ...{ client_email: text, private_key: text, private_key_id: text },
    }),
    wanted: 'those of the key of a service account: "type", "client_email", "private_key" and "private_key_id"',
  },
  azure: {
    schema: z.union([z.strictObject({ accountKey: text }), z.strictObject({ sasToken: text })]),
    wanted: 'either "accountKey" or "sasToken"',
  },
} as const satisfies Record<BucketKind, { readonly schema: z.ZodType; readonly wanted: string }>;

/** The credentials as JSON. Throws `bad_request`, without a value, if they are not in the form of this kind of store. */
export function parseCredentials(kind: BucketKind, credentials: Readonly<Record<string, string>>): Secret {
  const { schema, wanted } = forms[kind];
  const parsed = schema.safeParse(credentials);
  if (!parsed.success)
    throw new SoulBoxError('bad_request', `credentials: for this store, the members must be ${wanted}.`);
  return new Secret(JSON.stringify(parsed.data));
}

/** Where the credentials of a bucket are stored. */
export const placeOfCredentials = ({ id, teamId }: Pick<BucketRecord, 'id' | 'teamId'>): Place => ({
  ...{ table: 'buckets', row: id, field: 'credentials', team: teamId },
});
