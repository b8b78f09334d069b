import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolume } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { printNewVolume } from './new-volume.ts';

const copyArgs = {
  volume: { type: 'positional', required: true, description: 'Id or name of the volume that is copied' },
  name: { type: 'positional', required: true, description: 'Name of the copy: letters, digits, _ and -' },
  'data-dir': apiDataDirArg,
  json: jsonArg,
} as const;

export const cloneVolume = defineCommand({
  meta: {
    name: 'clone',
    description: 'Copy a volume as it is now; the copy shares its data until one of them changes; prints the id',
    examples: ['soulbox volume clone datasets trial', 'soulbox volume clone datasets trial --size-mb 2048'],
  },
  args: {
    ...copyArgs,
    'size-mb': {
      type: 'string',
      description: 'MiB that the contents of the copy may have (default: the limit of the team)',
      valueHint: 'MB',
    },
  },
  async run({ args }) {
    const sizeMb = parseNumberFlag('size-mb', args['size-mb'], 1, 2 ** 30);
    const body = { name: args.name, from: args.volume, ...(sizeMb === undefined ? {} : { sizeMb }) };
    printNewVolume(await create(args['data-dir'], body), args.json);
  },
});

export const snapshotVolume = defineCommand({
  meta: {
    name: 'snapshot',
    description: 'Copy a volume as it is now, so that nothing in the copy can be changed; prints the id',
    examples: ['soulbox volume snapshot datasets before-cleanup', 'soulbox volume snapshot datasets v1 --json'],
  },
  args: copyArgs,
  async run({ args }) {
    const body = { name: args.name, from: args.volume, readOnly: true };
    printNewVolume(await create(args['data-dir'], body), args.json);
  },
});

async function create(dataDir: string | undefined, body: object): Promise<ApiVolume> {
  return (await callApi<ApiVolume>(await findApi(dataDir), { method: 'POST', path: '/volumes', body })).body;
}
