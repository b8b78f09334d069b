import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiBucket } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { renderFacts } from '../../output/facts.ts';
import { bucketArg, pathOf } from './bucket-args.ts';

export const getBucket = defineCommand({
  meta: {
    name: 'get',
    description: 'Show a bucket, without its credentials',
    examples: ['soulbox bucket get training', 'soulbox bucket get training --json'],
  },
  args: { bucket: bucketArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<ApiBucket>(await findApi(args['data-dir']), { path: pathOf(args.bucket) });
    console.log(args.json === true ? JSON.stringify(body) : renderFacts(body));
  },
});
