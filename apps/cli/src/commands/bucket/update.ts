import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiBucket } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { bucketArg, credentialsFileArg, pathOf, readCredentials } from './bucket-args.ts';

export const updateBucket = defineCommand({
  meta: {
    name: 'update',
    description: 'Replace the credentials of a bucket, or allow or forbid writes; sandboxes use it within ten seconds',
    examples: [
      'soulbox bucket update training --credentials-file keys.json',
      'soulbox bucket update training --read-only',
    ],
  },
  args: {
    bucket: bucketArg,
    'credentials-file': credentialsFileArg,
    public: { type: 'boolean', description: 'Remove the credentials: requests have no signature' },
    'read-only': { type: 'boolean', description: 'No sandbox can change it' },
    'read-write': { type: 'boolean', description: 'Sandboxes can change it' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const { public: isPublic = false, 'read-only': isReadOnly = false, 'read-write': isReadWrite = false } = args;
    const file = args['credentials-file'];
    if ((file !== undefined && isPublic) || (isReadOnly && isReadWrite))
      throw new UsageError('Give either --credentials-file or --public, and either --read-only or --read-write.');
    if (file === undefined && !isPublic && !isReadOnly && !isReadWrite)
      throw new UsageError('Give --credentials-file, --public, --read-only or --read-write.');
    const body = {
      credentials: isPublic ? null : await readCredentials(file),
      readOnly: isReadOnly || isReadWrite ? isReadOnly : undefined,
    };
    const api = await findApi(args['data-dir']);
    const { body: bucket } = await callApi<ApiBucket>(api, { method: 'PATCH', path: pathOf(args.bucket), body });
    console.log(args.json === true ? JSON.stringify(bucket) : `Updated ${bucket.name}.`);
  },
});
