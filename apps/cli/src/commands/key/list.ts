import { defineCommand } from 'citty';
import { printList } from '../../output/print-list.ts';
import { jsonArg, recordsDataDirArg, teamArg } from '../../command-line/shared-args.ts';
import { openKeyStore } from './open-key-store.ts';

export const listKeys = defineCommand({
  meta: {
    name: 'list',
    description: 'List the API keys, without their values',
    examples: ['soulbox key list', 'soulbox key list --context work --json'],
  },
  args: { team: teamArg, 'data-dir': recordsDataDirArg, json: jsonArg },
  async run({ args }) {
    await using store = await openKeyStore(args, { adds: false });
    const keys = await store.list();
    printList(
      keys,
      {
        ID: (key) => key.id,
        NAME: (key) => key.name,
        KEY: (key) => key.key,
        SCOPES: (key) => key.scopes.join(','),
        TEMPLATES: (key) => key.templates?.join(',') ?? '',
        ISOLATION: (key) => key.isolation ?? '',
        CREATED: (key) => key.createdAt,
        EXPIRES: (key) => key.expiresAt ?? 'never',
        'LAST USED': (key) => key.lastUsedAt ?? 'never',
      },
      args,
    );
  },
});
