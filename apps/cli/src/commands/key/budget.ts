import { defineCommand } from 'citty';
import { budgetKinds, budgetPeriods } from '@soulbox/storage';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { recordsDataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { openKeyStore } from './open-key-store.ts';
import type { Budget } from './key-store.ts';

type Change = Pick<Budget, 'kind' | 'period'> & { readonly amount: number | undefined };

const names = budgetKinds.flatMap((kind) => budgetPeriods.map((period) => `${kind}/${period}`));
const amountMax = 1_000_000_000_000;

export const budgetKey = defineCommand({
  meta: {
    name: 'budget',
    description: 'Show the budgets of an API key, or change them; a change applies at once',
    examples: [
      'soulbox key budget KEY_ID',
      'soulbox key budget KEY_ID --set cpu_seconds/day=3600 --set sandboxes/total=none',
    ],
  },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, as in `soulbox key list`' },
    set: {
      type: 'string',
      description: `A budget: ${names.join(', ')}; none removes it. Can be repeated`,
      valueHint: 'NAME=AMOUNT',
    },
    team: teamArg,
    'data-dir': recordsDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const changes = Object.entries(pairsFlag(rawArgs, 'set')).map(parseChange);
    await using store = await openKeyStore(args, { adds: changes.length > 0 });
    const before = await store.listBudgets(args.key);
    if (changes.length > 0) {
      const kept = before.filter(
        (budget) => !changes.some((change) => change.kind === budget.kind && change.period === budget.period),
      );
      const set = changes.flatMap(({ amount, ...rest }) => (amount === undefined ? [] : [{ ...rest, amount }]));
      await store.setBudgets(args.key, [...kept, ...set]);
    }
    printList(
      changes.length === 0 ? before : await store.listBudgets(args.key),
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
