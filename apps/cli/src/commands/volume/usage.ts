import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolumeUsage } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { volumeArg } from './volume-place.ts';

const mib = 1024 * 1024;

export const showVolumeUsage = defineCommand({
  meta: {
    name: 'usage',
    description: 'Print what a volume contains',
    examples: ['soulbox volume usage datasets', 'soulbox volume usage datasets --json'],
  },
  args: { volume: volumeArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const path = `/volumes/${encodeURIComponent(args.volume)}/usage`;
    const { body } = await callApi<ApiVolumeUsage>(await findApi(args['data-dir']), { path });
    const { bytes, entries, sizeMb } = body;
    const limit = sizeMb === null ? '' : ` of ${sizeMb}`;
    console.log(
      args.json === true ? JSON.stringify(body) : `${(bytes / mib).toFixed(1)}${limit} MiB, ${entries} entries`,
    );
  },
});
