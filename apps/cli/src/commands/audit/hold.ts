import { randomUUID } from 'node:crypto';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { openAudit } from './open-audit.ts';
import type { OpenedAudit } from './open-audit.ts';

/** A word, because reasons are recorded and a record has no free text. */
const reasonForm = /^[a-z][a-z0-9_-]{0,39}$/;

export const holdAudit = defineCommand({
  meta: {
    name: 'hold',
    description: 'Legal holds, which forbid to prune and to erase: list, set with --until, end',
    examples: [
      'sudo soulbox audit hold --until 2030-01-31 --reason case-4711',
      'sudo soulbox audit hold --release HOLD_ID',
    ],
  },
  args: {
    until: { type: 'string', description: 'Set a hold until this day', valueHint: 'YYYY-MM-DD' },
    reason: { type: 'string', description: 'A word such as case-4711 (default hold)', valueHint: 'WORD' },
    release: { type: 'string', description: 'End the hold with this id', valueHint: 'ID' },
    team: teamArg,
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    await using audit = await openAudit(args['data-dir'], args.team);
    if (args.until !== undefined) await set(audit, args.until, args.reason ?? 'hold');
    if (args.release !== undefined) await release(audit, args.release);
    const holds = (await audit.records.audit.listHolds(audit.team.id)).map(({ id, reason, until }) => ({
      ...{ id, reason },
      until: new Date(until).toISOString(),
    }));
    printList(holds, { ID: ({ id }) => id, REASON: ({ reason }) => reason, UNTIL: ({ until }) => until }, args);
  },
});

async function set({ records, team }: OpenedAudit, day: string, reason: string): Promise<void> {
  const until = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T23:59:59Z`) : Number.NaN;
  if (!(until > Date.now())) throw new UsageError('--until must be a day in the future, such as 2030-12-31.');
  if (!reasonForm.test(reason)) throw new UsageError('--reason must be a word of a-z, 0-9, - and _.');
  const id = randomUUID();
  const facts = { holdId: id, until, reason };
  const deed = { action: 'audit.hold', teamId: team.id, target: { kind: 'log', id: '' }, facts };
  await records.audit.addHold({ id, teamId: team.id, reason, until }, operatorNote(deed));
}

async function release({ records, team }: OpenedAudit, id: string): Promise<void> {
  const deed = { action: 'audit.release', teamId: team.id, target: { kind: 'log', id: '' }, facts: { holdId: id } };
  if (!(await records.audit.removeHold(team.id, id, operatorNote(deed))))
    throw new SoulBoxError('file_not_found', `The team has no legal hold ${JSON.stringify(id)}.`);
}
