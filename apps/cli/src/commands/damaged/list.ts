import { defineCommand } from 'citty';
import { openDamagedCheckpoints } from '@soulbox/checkpoints';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const listDamaged = defineCommand({
  meta: { name: 'list', description: 'List damaged checkpoints, oldest first' },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const states = await openDamagedCheckpoints(resolveFolders(args['data-dir']).dataDirectory).list();
    printList(
      states,
      {
        ID: (state) => state.stateId,
        SANDBOX: (state) => state.sandboxId,
        SIZE: (state) => showBytes(state.sizeBytes),
        FOUND: (state) => new Date(state.foundAtMs).toISOString(),
        FOLDER: (state) => state.directory,
      },
      args,
    );
  },
});
