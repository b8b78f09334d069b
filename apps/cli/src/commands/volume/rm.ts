import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { contentCall, parseVolumePlace } from './volume-place.ts';

export const removeVolumeFile = defineCommand({
  meta: {
    name: 'rm',
    description: 'Remove a file of a volume, or a folder with everything in it',
    examples: ['soulbox volume rm datasets:/raw', 'soulbox volume rm datasets:/all.tar --json'],
  },
  args: {
    path: { type: 'positional', required: true, description: 'VOLUME:PATH' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const call = contentCall('path', parseVolumePlace(args.path));
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', ...call });
    console.log(args.json === true ? JSON.stringify({ path: args.path, removed: true }) : `Removed ${args.path}.`);
  },
});
