import { defineCommand } from 'citty';
import { addTombstone, readTombstones, tombstonesName } from '@soulbox/audit';
import { SoulBoxError } from '@soulbox/base';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { openAudit } from './open-audit.ts';
import type { OpenedAudit } from './open-audit.ts';

export const eraseAudit = defineCommand({
  meta: {
    name: 'erase',
    description: "Destroy the key of an API key's personal fields: addresses and user agents become unreadable",
    examples: ['sudo soulbox audit erase KEY_ID --basis gdpr-17', 'sudo soulbox audit erase --replay erasures.jsonl'],
  },
  args: {
    key: { type: 'positional', required: false, description: 'Id of the API key, also of a revoked one' },
    basis: { type: 'string', description: 'Legal basis, a word such as gdpr-17 (default request)', valueHint: 'WORD' },
    replay: {
      type: 'string',
      description: 'Repeat the erasures that a file of another server lists',
      valueHint: 'FILE',
    },
    team: teamArg,
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if ((args.key === undefined) === (args.replay === undefined)) throw new UsageError('Give KEY or --replay FILE.');
    await using audit = await openAudit(args['data-dir'], args.team);
    const keyIds = args.key === undefined ? await keysOfFile(audit, args.replay ?? '') : [await keyOf(audit, args.key)];
    await refuseHeld(audit);
    let erased = 0;
    for (const keyId of keyIds) if (await erase(audit, keyId, args.basis ?? 'request')) erased += 1;
    if (args.json === true) console.log(JSON.stringify({ team: audit.team.id, erased }));
    else console.log(`Destroyed ${erased} keys. The encrypted fields stay in the log until it is pruned.`);
  },
});

async function keyOf({ records, team }: OpenedAudit, subject: string): Promise<string> {
  const key = await records.audit.findSubjectKey(team.id, subject);
  if (key === undefined)
    throw new SoulBoxError(
      'key_not_found',
      `The audit log has no personal fields of the API key ${JSON.stringify(subject)}.`,
    );
  return key.id;
}

async function keysOfFile({ team }: OpenedAudit, file: string): Promise<string[]> {
  return (await readTombstones(file)).filter(({ teamId }) => teamId === team.id).map(({ keyId }) => keyId);
}

/** A legal hold forbids to destroy evidence. */
async function refuseHeld({ records, team }: OpenedAudit): Promise<void> {
  const hold = (await records.audit.listHolds(team.id)).find(({ until }) => until > Date.now());
  if (hold !== undefined)
    throw new SoulBoxError(
      'forbidden',
      `A legal hold (${hold.id}, ${hold.reason}) is in force until ${new Date(hold.until).toISOString()}.`,
    );
}

/** The tombstone first: an older database that comes back must not bring back the key. */
async function erase(audit: OpenedAudit, keyId: string, basis: string): Promise<boolean> {
  const { records, team, directory } = audit;
  await addTombstone(directory, { teamId: team.id, keyId, at: Date.now() });
  await audit.handOver(tombstonesName);
  const facts = { erasedKeyId: keyId, basis };
  const deed = { action: 'privacy.erase', teamId: team.id, target: { kind: 'subject', id: '' }, facts };
  return await records.audit.eraseSubjectKey(team.id, keyId, operatorNote(deed));
}
