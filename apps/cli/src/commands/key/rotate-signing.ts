import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSigningKey } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';

const defaultOverlapSeconds = 24 * 3600;

export const rotateSigning = defineCommand({
  meta: {
    name: 'rotate-signing',
    description: 'Sign URLs with a new key; those of earlier keys end after an overlap',
    examples: ['soulbox key rotate-signing', 'soulbox key rotate-signing --overlap 0'],
  },
  args: {
    overlap: {
      type: 'string',
      description: 'Seconds for which URLs of earlier keys stay valid (default 86400)',
      valueHint: 'SECONDS',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const overlapSeconds = parseNumberFlag('overlap', args.overlap, 0, 365 * 24 * 3600) ?? defaultOverlapSeconds;
    const api = await findApi(args['data-dir']);
    const call = { method: 'POST', path: '/signing-keys', body: { overlapSeconds } } as const;
    const { body: key } = await callApi<ApiSigningKey>(api, call);
    console.log(args.json === true ? JSON.stringify(key) : key.id);
  },
});
