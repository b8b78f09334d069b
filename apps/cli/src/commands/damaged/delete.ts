import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { openDamagedCheckpoints } from '@soulbox/checkpoints';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const deleteDamaged = defineCommand({
  meta: {
    name: 'delete',
    description: 'Delete a damaged checkpoint',
    examples: ['sudo soulbox damaged delete CHECKPOINT', 'sudo soulbox damaged delete CHECKPOINT --json'],
  },
  args: {
    checkpoint: { type: 'positional', required: true, description: 'Its id, as `soulbox damaged list` shows it' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const shelf = openDamagedCheckpoints(resolveFolders(args['data-dir']).dataDirectory);
    if (!(await shelf.remove(args.checkpoint)))
      throw new SoulBoxError('file_not_found', `Damaged checkpoint ${JSON.stringify(args.checkpoint)} was not found.`);
    if (args.json === true) console.log(JSON.stringify({ stateId: args.checkpoint, deleted: true }));
    else console.log(`Deleted ${args.checkpoint}.`);
  },
});
