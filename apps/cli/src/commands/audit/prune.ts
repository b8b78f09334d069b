import { join } from 'node:path';
import { defineCommand } from 'citty';
import { prunableTo, recordOfLeaf } from '@soulbox/audit';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { openAudit } from './open-audit.ts';

export const pruneAudit = defineCommand({
  meta: {
    name: 'prune',
    description: 'Delete audit records whose retention has ended, from the oldest on; hashes and proofs stay',
    examples: ['sudo soulbox audit prune --dry-run'],
  },
  args: {
    team: teamArg,
    'dry-run': { type: 'boolean', description: 'Only print how many records would be deleted' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    await using audit = await openAudit(args['data-dir'], args.team);
    const { records, team } = audit;
    const log = await audit.openLog();
    const from = await log.readMinimum();
    const to = await prunableTo(log, Date.now(), await records.audit.listHolds(team.id));
    const count = to - from;
    if (count > 0 && args['dry-run'] !== true) {
      const entries = await log.readEntries(from, to);
      const bytes = entries.reduce((sum, entry) => sum + entry.length, 0);
      const facts = { from, to, count, rootBefore: log.checkpoint.root.toString('hex') };
      // Recorded first: a record without the deletion says too much, a deletion without the record too little.
      await records.audit.appendUrgent(
        operatorNote({ action: 'audit.prune', teamId: team.id, target: { kind: 'log', id: '' }, facts }),
        Infinity,
      );
      await log.prune(to);
      await audit.handOver(join(team.id, 'minimum-index'));
      await records.audit.release(team.id, bytes);
    }
    const oldest = await log.readEntries(to, to + 1);
    const keptUntil = oldest[0] === undefined ? null : new Date(recordOfLeaf(oldest[0]).retainUntil).toISOString();
    if (args.json === true) console.log(JSON.stringify({ team: team.id, from, to, count, keptUntil }));
    else console.log(`${args['dry-run'] === true ? 'Would delete' : 'Deleted'} ${count} records of ${team.name}.`);
  },
});
