import { defineCommand } from 'citty';
import { isolations, roles, scopes } from '@soulbox/contract';
import { recordsDataDirArg, jsonArg, parseChoiceFlag, teamArg } from '../../command-line/shared-args.ts';
import { repeatedFlag } from '../../command-line/repeated-flags.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { openKeyStore } from './open-key-store.ts';
import { parseRights } from './parse-rights.ts';

// Names are shown in lists, so they have no control characters.
const nameForm = /^[^\p{Cc}]{1,100}$/u;

export const createKey = defineCommand({
  meta: {
    name: 'create',
    description: 'Create an API key; its value is shown only this time',
    examples: [
      'soulbox key create laptop',
      'soulbox key create ci --role developer --template web --expires 30d',
      'sudo soulbox key create ci --team blue --data-dir /var/lib/soulbox',
    ],
  },
  args: {
    name: { type: 'positional', required: true, description: 'Its purpose, such as ci or laptop' },
    team: teamArg,
    isolation: {
      type: 'string',
      description: 'Isolation of sandboxes and builds that do not specify one',
      valueHint: isolations.join('|'),
    },
    role: {
      type: 'string',
      description: 'What it may do, as a set of scopes (default admin)',
      valueHint: roles.join('|'),
    },
    scope: {
      type: 'string',
      description: 'What it may do, in addition to the role; repeatable',
      valueHint: scopes.join('|'),
    },
    template: {
      type: 'string',
      description: 'Restrict it to this template, by id or name; repeatable',
      valueHint: 'TEMPLATE',
    },
    expires: { type: 'string', description: 'When it expires (default never)', valueHint: '30d|12h|DATE' },
    'data-dir': recordsDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    checkName(args.name);
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const rights = parseRights(
      {
        ...{ role: args.role, expires: args.expires },
        ...{ scopes: repeatedFlag(rawArgs, 'scope'), templates: repeatedFlag(rawArgs, 'template') },
      },
      Date.now(),
    );
    await using store = await openKeyStore(args, { adds: true });
    const created = await store.create({ name: args.name, isolation, ...rights });
    console.log(args.json === true ? JSON.stringify(created) : created.key);
  },
});

/** Throws UsageError. */
export function checkName(name: string): void {
  if (!nameForm.test(name)) throw new UsageError('NAME must have 1 to 100 characters and no control characters.');
}
