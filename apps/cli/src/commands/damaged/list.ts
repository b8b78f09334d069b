import { defineCommand } from 'citty';
import { openDamagedCheckpoints } from '@soulbox/checkpoints';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listDamaged = defineCommand({
  meta: {
    name: 'list',
    description: 'List damaged checkpoints, oldest first',
    examples: ['sudo soulbox damaged list'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const found = await openDamagedCheckpoints(resolveFolders(args['data-dir']).dataDirectory).list();
    printList(
      // Scripts that read the JSON know the id as `stateId`.
      found.map(({ checkpointId, ...rest }) => ({ stateId: checkpointId, ...rest })),
      {
        ID: (checkpoint) => checkpoint.stateId,
        SANDBOX: (checkpoint) => checkpoint.sandboxId,
        SIZE: (checkpoint) => showBytes(checkpoint.sizeBytes),
        FOUND: (checkpoint) => new Date(checkpoint.foundAtMs).toISOString(),
        FOLDER: (checkpoint) => checkpoint.directory,
      },
      args,
    );
  },
});
