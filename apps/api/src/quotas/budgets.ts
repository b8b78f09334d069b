import type { BudgetKind, BudgetPeriod, Consumption, KeyBudget } from '@soulbox/storage';
import type { TeamLimits } from './limit-table.ts';

/** A budget of which nothing is left. */
export interface Spent {
  readonly period: BudgetPeriod;
  /** For the caller: which budget, how much, and how to raise it. */
  readonly message: string;
}

export const mib = 1024 * 1024;

/** How much of a kind was used, in the unit of its budgets. */
export function usedOf({ cpuMs, egressBytes, creates }: Consumption, kind: BudgetKind): number {
  return { cpu_seconds: cpuMs / 1000, egress_mb: egressBytes / mib, sandboxes: creates }[kind];
}

const nouns: Readonly<Record<BudgetKind, string>> = {
  cpu_seconds: 'seconds of CPU time',
  egress_mb: 'MiB sent to the outside',
  sandboxes: 'sandboxes created',
};

/** The first budget of the team that its sandboxes have used up today. */
export function findSpentByTeam(used: Consumption, limits: TeamLimits): Spent | undefined {
  for (const [kind, name] of [
    ['cpu_seconds', 'cpu_seconds_per_day'],
    ['egress_mb', 'egress_mb_per_day'],
  ] as const) {
    const amount = usedOf(used, kind);
    if (amount < limits[name]) continue;
    const figures = `${Math.floor(amount)} of ${limits[name]} ${nouns[kind]} today`;
    return { period: 'day', message: `The team has used ${figures} (UTC). ${raiseTeam(name)}` };
  }
  return undefined;
}

/** The first budget of the key that its sandboxes have used up. Created sandboxes are counted when they are created. */
export function findSpentByKey(
  used: Readonly<Record<BudgetPeriod, Consumption>>,
  budgets: readonly KeyBudget[],
): Spent | undefined {
  const spent = budgets.find(
    ({ kind, period, amount }) => kind !== 'sandboxes' && usedOf(used[period], kind) >= amount,
  );
  return spent && { period: spent.period, message: keyMessage(spent) };
}

export function keyMessage({ kind, period, amount }: Pick<KeyBudget, 'kind' | 'period' | 'amount'>): string {
  const when = period === 'day' ? ' per day (UTC)' : ' in total';
  return `The API key has used up its budget of ${amount} ${nouns[kind]}${when}. Its team can raise it with "soulbox key budget".`;
}

/** How a limit of a team is raised. */
export function raiseTeam(name: string): string {
  return `The operator can raise the limit ${name} with "soulbox team limits".`;
}
