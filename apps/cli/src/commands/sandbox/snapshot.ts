import { defineCommand } from 'citty';
import { withWait } from '../../output/wait.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { tellReplay } from '../../api/tell-replay.ts';
import type { ApiSnapshot } from '../../api/wire.ts';
import { parseVolumes } from './parse-volumes.ts';
import { apiDataDirArg, idempotencyKeyArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';

export const snapshotSandbox = defineCommand({
  meta: {
    name: 'snapshot',
    description: 'Create a snapshot of a sandbox; prints its id',
    examples: [
      'soulbox sandbox snapshot ID',
      'soulbox sandbox snapshot ID --name ready:v1',
      'soulbox sandbox snapshot ID --volumes snapshot',
    ],
  },
  args: {
    sandbox: sandboxArg,
    name: { type: 'string', description: 'Its name: a-z, 0-9, - and _, optionally with :TAG', valueHint: 'NAME' },
    volumes: {
      type: 'string',
      description: 'snapshot: take its volumes too; sandboxes get clones of them. Default: share',
      valueHint: 'HOW',
    },
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const volumes = parseVolumes(args.volumes, ['share', 'snapshot']);
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/snapshots`;
    const call = {
      method: 'POST',
      path,
      body: { name: args.name, volumes },
      idempotencyKey: args['idempotency-key'],
    } as const;
    const answer = await withWait(`Saving ${args.sandbox}`, callApi<ApiSnapshot>(api, call));
    tellReplay(answer);
    const { body } = answer;
    console.log(args.json === true ? JSON.stringify(body) : body.snapshotID);
  },
});
