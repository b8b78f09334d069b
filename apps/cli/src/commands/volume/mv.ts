import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { contentCall, findVolumePlace, parseVolumePlace } from './volume-place.ts';

export const moveVolumeFile = defineCommand({
  meta: {
    name: 'mv',
    description: 'Rename or move a file or folder within a volume',
    examples: ['soulbox volume mv datasets:/raw /old', 'soulbox volume mv datasets:/a.csv datasets:/b.csv --keep'],
  },
  args: {
    path: { type: 'positional', required: true, description: 'VOLUME:PATH' },
    to: { type: 'positional', required: true, description: 'Its new path, also as VOLUME:PATH' },
    keep: {
      type: 'boolean',
      description: 'Fail if the new path exists. Default: a file or an empty folder is replaced',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const from = parseVolumePlace(args.path);
    const target = findVolumePlace(args.to) ?? { volume: from.volume, path: args.to };
    if (target.volume !== from.volume)
      throw new UsageError('A move stays within its volume. Copy with "soulbox volume cp", then remove.');
    const query = { to: target.path, ...(args.keep === true ? { force: 'false' } : {}) };
    const call = contentCall('rename', from, query);
    const { body } = await callApi<ApiVolumeEntry>(await findApi(args['data-dir']), { method: 'POST', ...call });
    console.log(args.json === true ? JSON.stringify(body) : `Moved ${args.path} to ${from.volume}:${body.path}.`);
  },
});
