import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { budgetKinds, budgetPeriods } from '@soulbox/storage';
import type { KeyBudget } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';

type Change = Pick<KeyBudget, 'kind' | 'period'> & { readonly amount: number | undefined };

const names = budgetKinds.flatMap((kind) => budgetPeriods.map((period) => `${kind}/${period}`));
const amountMax = 1_000_000_000_000;

export const budgetKey = defineCommand({
  meta: { name: 'budget', description: 'Show the budgets of an API key, or change them; a change applies at once' },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, as in `soulbox key list`' },
    set: {
      type: 'string',
      description: `A budget: ${names.join(', ')}; none removes it. Can be repeated`,
      valueHint: 'NAME=AMOUNT',
    },
    team: teamArg,
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const changes = Object.entries(pairsFlag(rawArgs, 'set')).map(parseChange);
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: changes.length > 0 });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const [teamId, keyId] = [team.id, args.key];
    // The budget of a revoked key still applies to its sandboxes, so it can still be raised.
    const before = await records.quotas.listBudgets({ teamId, keyId });
    if (before.length === 0 && (await records.apiKeys.find(teamId, keyId)) === undefined)
      throw new SoulBoxError(
        'key_not_found',
        `API key ${JSON.stringify(keyId)} was not found. List the keys with "soulbox key list".`,
      );
    if (changes.length > 0) {
      const kept = before.filter(
        (budget) => !changes.some((change) => change.kind === budget.kind && change.period === budget.period),
      );
      const set = changes.flatMap(({ amount, ...rest }) =>
        amount === undefined ? [] : [{ teamId, keyId, ...rest, amount }],
      );
      const deed = { action: 'key.set-budgets', teamId, target: { kind: 'key', id: keyId } };
      await records.quotas.setBudgets(teamId, keyId, [...kept, ...set], operatorNote(deed));
    }
    printList(
      (await records.quotas.listBudgets({ teamId, keyId })).map(({ kind, period, amount }) => ({
        kind,
        period,
        amount,
      })),
      { BUDGET: ({ kind }) => kind, PERIOD: ({ period }) => period, AMOUNT: ({ amount }) => amount },
      args,
    );
  },
});

function parseChange([text, value]: [string, string]): Change {
  const [kindText, periodText] = text.replaceAll('-', '_').split('/');
  const kind = budgetKinds.find((candidate) => candidate === kindText);
  const period = budgetPeriods.find((candidate) => candidate === periodText);
  if (kind === undefined || period === undefined)
    throw new UsageError(`--set: ${JSON.stringify(text)} is not a budget. Budgets: ${names.join(', ')}.`);
  if (value === 'none') return { kind, period, amount: undefined };
  const amount = /^\d{1,13}$/.test(value) ? Number(value) : Number.NaN;
  if (amount <= amountMax) return { kind, period, amount };
  throw new UsageError(`--set ${text} must be 0 to ${amountMax} or none, not ${JSON.stringify(value)}.`);
}
