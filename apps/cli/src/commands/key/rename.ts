import { defineCommand } from 'citty';
import { jsonArg, recordsDataDirArg, teamArg } from '../../command-line/shared-args.ts';
import { checkName } from './create.ts';
import { getKey } from './key-store.ts';
import { openKeyStore } from './open-key-store.ts';

export const renameKey = defineCommand({
  meta: {
    name: 'rename',
    description: 'Give an API key another name; its value stays',
    examples: ['soulbox key rename ci build-server', 'soulbox key rename KEY_ID build-server'],
  },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, or its name if that is unique' },
    name: { type: 'positional', required: true, description: 'The new name' },
    team: teamArg,
    'data-dir': recordsDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    checkName(args.name);
    await using store = await openKeyStore(args, { adds: true });
    const { id } = await getKey(store, args.key);
    await store.rename(id, args.name);
    console.log(args.json === true ? JSON.stringify({ id, name: args.name }) : `${id} is named ${args.name}.`);
  },
});
