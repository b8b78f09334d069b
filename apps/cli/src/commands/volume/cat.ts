import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { downloadApi } from '../../api/transfer.ts';
import { apiDataDirArg } from '../../command-line/shared-args.ts';
import { printBytes } from '../../copy/print-bytes.ts';
import { orInterrupted } from '../../output/abort-on-signal.ts';
import { contentCall, parseVolumePlace } from './volume-place.ts';

export const printVolumeFile = defineCommand({
  meta: {
    name: 'cat',
    description: 'Print a file of a volume, byte for byte',
    examples: ['soulbox volume cat datasets:/raw/points.csv | head', 'soulbox volume cat datasets:/all.tar | tar x'],
  },
  args: {
    file: { type: 'positional', required: true, description: 'VOLUME:PATH' },
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const call = contentCall('file', parseVolumePlace(args.file));
    const api = await findApi(args['data-dir']);
    return await orInterrupted(async (signal) => await printBytes((stop) => downloadApi(api, call, stop), signal));
  },
});
