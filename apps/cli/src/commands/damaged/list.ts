import { defineCommand } from 'citty';
import { openDamagedCheckpoints } from '@soulbox/checkpoints';
import { resolveFolders } from '../../config.ts';
import { renderTable, showBytes } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const listDamaged = defineCommand({
  meta: { name: 'list', description: 'List the saved memories that turned out damaged, oldest first' },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const states = await openDamagedCheckpoints(resolveFolders(args['data-dir']).dataDirectory).list();
    if (args.json === true) {
      console.log(JSON.stringify(states));
      return;
    }
    const rows = states.map((state) => [
      state.stateId,
      state.sandboxId,
      showBytes(state.sizeBytes),
      new Date(state.foundAtMs).toISOString(),
      state.directory,
    ]);
    console.log(renderTable(['ID', 'SANDBOX', 'SIZE', 'FOUND', 'FOLDER'], rows));
  },
});
