import { defineCommand } from 'citty';
import { recordsDataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { getKey } from './key-store.ts';
import { openKeyStore } from './open-key-store.ts';

export const revokeKey = defineCommand({
  meta: {
    name: 'revoke',
    description: 'Invalidate an API key immediately',
    examples: ['soulbox key revoke ci', 'soulbox key revoke KEY_ID'],
  },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, or its name if that is unique' },
    team: teamArg,
    'data-dir': recordsDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    await using store = await openKeyStore(args, { adds: false });
    const match = await getKey(store, args.key);
    await store.revoke(match.id);
    if (args.json === true) console.log(JSON.stringify({ id: match.id, name: match.name, revoked: true }));
    else console.log(`Revoked ${match.name} (${match.id}).`);
  },
});

/** The same under the name that other nouns use. */
export const deleteKey = {
  ...revokeKey,
  meta: {
    name: 'delete',
    description: 'The same as revoke',
    examples: ['soulbox key delete ci', 'soulbox key delete KEY_ID'],
  },
};
