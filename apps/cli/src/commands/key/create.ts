import { defineCommand } from 'citty';
import { isolations, roles, scopes } from '@soulbox/contract';
import { createApiKey } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, parseChoiceFlag, teamArg } from '../../command-line/shared-args.ts';
import { repeatedFlag } from '../../command-line/repeated-flags.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { parseRights } from './parse-rights.ts';
import { shownKey } from './shown-key.ts';

// Names are shown in lists, so they have no control characters.
const nameForm = /^[^\p{Cc}]{1,100}$/u;

export const createKey = defineCommand({
  meta: { name: 'create', description: 'Create an API key; its value is shown only this time' },
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
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    if (!nameForm.test(args.name))
      throw new UsageError('NAME must have 1 to 100 characters and no control characters.');
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const rights = parseRights(
      {
        ...{ role: args.role, expires: args.expires },
        ...{ scopes: repeatedFlag(rawArgs, 'scope'), templates: repeatedFlag(rawArgs, 'template') },
      },
      Date.now(),
    );
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const { key, record } = await createApiKey(records, team, args.name, {
      isolation,
      ...rights,
      noteOf: ({ id }) => operatorNote({ action: 'key.create', teamId: team.id, target: { kind: 'key', id } }),
    });
    if (args.json === true) console.log(JSON.stringify({ ...shownKey(record), key: key.reveal() }));
    else console.log(key.reveal());
  },
});
