import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiBucket } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { credentialsFileArg, readCredentials } from './bucket-args.ts';

export const createBucket = defineCommand({
  meta: {
    name: 'create',
    description: 'Make a bucket of an object store known to the team; prints its id',
    examples: [
      "soulbox bucket create training 's3://training?region=eu-central-1' --credentials-file keys.json",
      'pass show r2 | soulbox bucket create logs r2://logs?account=ACCOUNT --credentials-file - --read-only',
    ],
  },
  args: {
    name: { type: 'positional', required: true, description: 'Its name: letters, digits, _ and -' },
    url: { type: 'positional', required: true, description: 'Where it is: s3://, r2://, gs:// or azblob://' },
    'credentials-file': { ...credentialsFileArg, description: `${credentialsFileArg.description} (default: public)` },
    'read-only': { type: 'boolean', description: 'No sandbox can change it' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const credentials = await readCredentials(args['credentials-file']);
    const body = { name: args.name, url: args.url, credentials, readOnly: args['read-only'] };
    const api = await findApi(args['data-dir']);
    const { body: bucket } = await callApi<ApiBucket>(api, { method: 'POST', path: '/buckets', body });
    console.log(args.json === true ? JSON.stringify(bucket) : bucket.bucketID);
  },
});
