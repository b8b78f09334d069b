import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { withWait } from '../../output/wait.ts';
import { bucketArg, pathOf } from './bucket-args.ts';

export const checkBucket = defineCommand({
  meta: {
    name: 'check',
    description: 'Ask the store of a bucket for a page of its list, with the credentials that are stored',
    examples: ['soulbox bucket check training', 'soulbox bucket check training --json'],
  },
  args: { bucket: bucketArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { bucket } = args;
    const api = await findApi(args['data-dir']);
    await withWait('Asking the store', callApi(api, { method: 'POST', path: `${pathOf(bucket)}/check` }));
    console.log(args.json === true ? JSON.stringify({ bucket, readable: true }) : `${bucket} can be read.`);
  },
});
