import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolume } from '../../api/wire.ts';
import { printNewVolume } from './new-volume.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';

export const createVolume = defineCommand({
  meta: {
    name: 'create',
    description: 'Create a volume; prints its id',
    examples: ['soulbox volume create datasets', 'soulbox volume create datasets --size-mb 1024'],
  },
  args: {
    name: { type: 'positional', required: true, description: 'Its name: letters, digits, _ and -' },
    'size-mb': {
      type: 'string',
      description: 'MiB that its contents may have (default: the limit of the team)',
      valueHint: 'MB',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const sizeMb = parseNumberFlag('size-mb', args['size-mb'], 1, 2 ** 30);
    const body = { name: args.name, ...(sizeMb === undefined ? {} : { sizeMb }) };
    const { body: volume } = await callApi<ApiVolume>(await findApi(args['data-dir']), {
      ...{ method: 'POST', path: '/volumes', body },
    });
    printNewVolume(volume, args.json);
  },
});
