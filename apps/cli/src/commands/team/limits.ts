import { defineCommand } from 'citty';
import { teamLimitNames, teamLimits } from '@soulbox/contract';
import type { TeamLimitName } from '@soulbox/contract';
import type { LimitValue } from '@soulbox/storage';
import { findNamedApi } from '../../api/connection.ts';
import { resolveFolders } from '../../config.ts';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { jsonArg, recordsDataDirArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { getTeam } from '../../records/get-team.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { limitTeamOfApi } from './limits-of-api.ts';

export const limitTeam = defineCommand({
  meta: {
    name: 'limits',
    description: 'Show the limits of a team, or change them; a change applies at once',
    examples: ['soulbox team limits', 'sudo soulbox team limits blue --set sandboxes=100 --set disk_mb=none'],
  },
  args: {
    team: {
      type: 'positional',
      required: false,
      description:
        'Its id, or its name if that is unique (default: that of the key, or default); through the API its id',
    },
    set: {
      type: 'string',
      description: 'A limit; none for no limit, default for the setting of the server. Can be repeated',
      valueHint: 'NAME=VALUE',
    },
    'data-dir': recordsDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const changes = Object.entries(pairsFlag(rawArgs, 'set')).map(parseChange);
    const api = args['data-dir'] === undefined ? await findNamedApi() : undefined;
    if (api !== undefined) {
      const wanted = changes.map(([name, value]) => [name, value === undefined ? 'default' : value] as const);
      await limitTeamOfApi(api, args.team, Object.fromEntries(wanted), args);
      return;
    }
    const { openRecords } = await import('../../records/open-records.ts');
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: changes.length > 0 });
    await using _ = records;
    const team = await getTeam(records, args.team);
    if (changes.length > 0) {
      const deed = { action: 'team.set-limits', teamId: team.id, target: { kind: 'team', id: team.id } };
      await records.quotas.setLimits(team.id, Object.fromEntries(changes), operatorNote(deed));
    }
    const own = await records.quotas.findLimits(team.id);
    const limits = teamLimitNames.map((name) => ({ name, value: own.get(name), help: teamLimits[name].help }));
    printList(
      limits.map(({ name, value, help }) => ({
        name,
        value: value === undefined ? 'default' : (value ?? 'none'),
        help,
      })),
      { LIMIT: ({ name }) => name, VALUE: ({ value }) => value, MEANING: ({ help }) => help },
      args,
    );
  },
});

function parseChange([text, value]: [string, string]): [TeamLimitName, LimitValue | undefined] {
  const name = teamLimitNames.find((candidate) => candidate === text.replaceAll('-', '_'));
  if (name === undefined)
    throw new UsageError(`--set: ${JSON.stringify(text)} is not a limit. Limits: ${teamLimitNames.join(', ')}.`);
  if (value === 'none') return [name, null];
  if (value === 'default') return [name, undefined];
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= teamLimits[name].max) return [name, number];
  throw new UsageError(
    `--set ${name} must be 0 to ${teamLimits[name].max}, none or default, not ${JSON.stringify(value)}.`,
  );
}
