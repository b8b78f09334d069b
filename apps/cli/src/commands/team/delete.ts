import { join } from 'node:path';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { openDiskBlobs } from '@soulbox/storage';
import type { TeamHoldings } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { emptyTeam } from './empty-team.ts';
import { getTeam } from '../../records/get-team.ts';

export const deleteTeam = defineCommand({
  meta: {
    name: 'delete',
    description: 'Delete a team with its keys, webhooks, key-value data and history',
    examples: ['sudo soulbox team delete blue', 'sudo soulbox team delete blue --force'],
  },
  args: {
    team: { type: 'positional', required: true, description: 'Its id, or its name if that is unique' },
    force: {
      type: 'boolean',
      description:
        'First revoke its keys, end its sandboxes, and delete its snapshots, templates, functions and volumes',
    },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const { records } = await openRecords(dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    if (team.isDefault)
      throw new SoulBoxError('forbidden', 'The default team cannot be deleted: the server creates it at each start.');
    if (args.force === true && isHolding(await records.teams.readHoldings(team.id)))
      await emptyTeam(dataDirectory, records, team);
    const deed = { action: 'team.delete', teamId: team.id, target: { kind: 'team', id: team.id } };
    if (!(await records.teams.remove(team.id, operatorNote(deed)))) {
      const held = describe(await records.teams.readHoldings(team.id));
      throw new SoulBoxError('team_in_use', `Team "${team.name}" has ${held}. Delete them, or use --force.`);
    }
    await deleteUploads(dataDirectory, team.id);
    if (args.json === true) console.log(JSON.stringify({ id: team.id, name: team.name, deleted: true }));
    else console.log(`Deleted the team ${team.name} (${team.id}).`);
  },
});

const isHolding = (holdings: TeamHoldings): boolean => Object.values(holdings).some((count) => Number(count) > 0);

function describe(holdings: TeamHoldings): string {
  return Object.entries(holdings)
    .filter(([, count]) => Number(count) > 0)
    .map(([what, count]) => `${String(count)} ${what}`)
    .join(', ');
}

/** Deletes archives for builds, which no row references any more. */
async function deleteUploads(dataDirectory: string, teamId: string): Promise<void> {
  await using files = await openDiskBlobs({ directory: join(dataDirectory, 'uploads') });
  for (const { key } of await files.list(`${teamId}/`)) await files.delete(key);
}
