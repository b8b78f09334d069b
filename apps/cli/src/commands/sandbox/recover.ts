import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { createApiKey } from '@soulbox/storage';
import type { Records, SandboxRecord, TeamRecord } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { renderTable } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { openRecords } from '../../records/open-records.ts';

/** Running or paused sandboxes that nobody can reach, because their team has no key. */
interface Orphans {
  readonly team: TeamRecord;
  readonly sandboxes: readonly SandboxRecord[];
}

export const recoverSandboxes = defineCommand({
  meta: {
    name: 'recover',
    description: 'List sandboxes for which no key exists because the records were lost; --team creates a key for them',
    examples: ['sudo soulbox sandbox recover'],
  },
  args: {
    team: {
      type: 'string',
      description: 'Create an API key for this team of the list; its value is shown once',
    },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const adds = args.team !== undefined;
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds });
    await using _ = records;
    const orphans = await findOrphans(records);
    if (args.team !== undefined) await printKey(records, orphans, args.team, args.json === true);
    else if (args.json === true) console.log(JSON.stringify(orphans.flatMap(rowsOf)));
    else printTable(orphans);
  },
});

async function findOrphans(records: Records): Promise<Orphans[]> {
  const live = await records.sandboxes.listLive();
  const found: Orphans[] = [];
  for (const team of await records.teams.list()) {
    const sandboxes = live.filter(({ teamId }) => teamId === team.id);
    if (sandboxes.length > 0 && (await records.apiKeys.list(team.id)).length === 0) found.push({ team, sandboxes });
  }
  return found;
}

async function printKey(records: Records, orphans: readonly Orphans[], teamId: string, asJson: boolean): Promise<void> {
  const found = orphans.find(({ team }) => team.id === teamId);
  if (found === undefined)
    throw new SoulBoxError(
      'team_not_found',
      `Team "${teamId.slice(0, 64)}" was not found among the teams with sandboxes and without a key.`,
    );
  const { key, record } = await createApiKey(records, found.team, 'recovered');
  console.log(asJson ? JSON.stringify({ id: record.id, key: key.reveal(), teamId }) : key.reveal());
}

function rowsOf({ team, sandboxes }: Orphans) {
  return sandboxes.map(({ id, state, templateId, startedAt }) => ({
    ...{ sandboxId: id, state, templateId },
    startedAt: new Date(startedAt).toISOString(),
    teamId: team.id,
  }));
}

function printTable(orphans: readonly Orphans[]): void {
  const rows = orphans.flatMap(rowsOf);
  if (rows.length === 0) console.log('Every sandbox belongs to a team that has a key.');
  else {
    const cells = rows.map((row) => [row.sandboxId, row.state, row.templateId, row.startedAt, row.teamId]);
    console.log(renderTable(['SANDBOX', 'STATE', 'TEMPLATE', 'STARTED', 'TEAM'], cells));
  }
}
