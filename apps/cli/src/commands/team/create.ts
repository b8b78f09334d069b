import { randomUUID } from 'node:crypto';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';

/** The name is also the namespace of the team's templates, in lower case. */
const nameForm = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export const createTeam = defineCommand({
  meta: {
    name: 'create',
    description: 'Create a team with its own sandboxes and templates; prints its id',
    examples: ['sudo soulbox team create blue', 'sudo soulbox team create blue --json'],
  },
  args: {
    name: { type: 'positional', required: true, description: 'a-z, 0-9, - and _; the namespace of its templates' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (!nameForm.test(args.name)) throw new UsageError('NAME must have 1 to 64 characters of a-z, 0-9, - and _.');
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    if ((await records.teams.list()).some(({ id, name }) => name === args.name || id === args.name))
      throw new SoulBoxError('name_taken', `A team named "${args.name}" already exists.`);
    const team = { id: randomUUID(), name: args.name, isDefault: false, createdAt: Date.now() };
    const deed = { action: 'team.create', teamId: team.id, target: { kind: 'team', id: team.id } };
    await records.teams.create(team, operatorNote(deed));
    console.log(args.json === true ? JSON.stringify({ id: team.id, name: team.name }) : team.id);
  },
});
