import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { TeamLimitName } from '@soulbox/contract';
import type { CreationLimits, KeyBudget, Records } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import { findSpentByKey, findSpentByTeam, mib, raiseTeam } from './budgets.ts';
import type { Spent } from './budgets.ts';
import { dayOf, secondsToNextDay } from './day.ts';
import { defaultLimits, withOwn } from './limit-table.ts';
import type { TeamLimits } from './limit-table.ts';
import { createTokenBuckets } from './token-buckets.ts';

/** Whoever acts: a team, through one of its keys. An empty key id has no budget. */
export interface Spender {
  readonly teamId: string;
  readonly keyId: string;
}

/** The limits of teams and the budgets of keys. A change, also by another process, applies at once. */
export interface Quotas {
  limitsOf(teamId: string): Promise<TeamLimits>;
  /** The limits that the team has for itself. */
  ownLimitsOf(teamId: string): Promise<ReadonlySet<string>>;
  /** Counts a request. Throws `rate_exceeded`. */
  takeRequest(teamId: string): Promise<void>;
  /** Counts creates. Throws `rate_exceeded`. */
  takeCreates(limits: TeamLimits, teamId: string, count: number): void;
  /** Throws `budget_spent` if sandboxes of this team and key may not run now. */
  checkBudgets(spender: Spender, limits: TeamLimits): Promise<void>;
  /** What may be created by a key. */
  creationLimits(spender: Spender, limits: TeamLimits): Promise<CreationLimits>;
  /** Throws `limit_exceeded` if the stored data of the team would exceed its limit by so many more bytes. */
  checkStorage(teamId: string, limits: TeamLimits, moreBytes: number): Promise<void>;
  /**
   * Throws `forbidden` for a key with a budget. It must not be able to lift its budget, or to make a key without one.
   */
  refuseBudgeted(spender: Spender): Promise<void>;
  today(): number;
  /** Why sandboxes of a team or of a key may not run now, for all that have used up a budget. */
  listSpent(): Promise<readonly (Spender & Spent)[]>;
}

/** Of a budget that no time gives back. Seconds. */
const totalHintSeconds = 24 * 3600;
/** Of limits for what is stored, which end only when something is deleted. Seconds. */
export const storedHintSeconds = 60;

export function createQuotas(records: Records, config: ApiConfig, clock: Clock): Quotas {
  const defaults = defaultLimits(config);
  const creates = createTokenBuckets(clock);
  const requests = createTokenBuckets(clock);
  const today = (): number => dayOf(clock.now());

  const limitsOf = async (teamId: string): Promise<TeamLimits> => {
    return withOwn(defaults, await records.quotas.findLimits(teamId));
  };
  const findSpent = async ({ teamId, keyId }: Spender, limits: TeamLimits): Promise<Spent | undefined> => {
    if (limits.cpu_seconds_per_day !== Infinity || limits.egress_mb_per_day !== Infinity) {
      const spent = findSpentByTeam(await records.quotas.readTeamDay(teamId, today()), limits);
      if (spent !== undefined) return spent;
    }
    const budgets = keyId === '' ? [] : await records.quotas.listBudgets({ teamId, keyId });
    return budgets.length === 0
      ? undefined
      : findSpentByKey(await records.quotas.readKey(teamId, keyId, today()), budgets);
  };
  const listSpentTeams = async (): Promise<(Spender & Spent)[]> => {
    const found: (Spender & Spent)[] = [];
    for (const { teamId, ...used } of await records.quotas.listTeamDays(today())) {
      const spent = findSpentByTeam(used, await limitsOf(teamId));
      if (spent !== undefined) found.push({ teamId, keyId: '', ...spent });
    }
    return found;
  };
  const listSpentKeys = async (): Promise<(Spender & Spent)[]> => {
    const found: (Spender & Spent)[] = [];
    for (const budgets of groupByKey(await records.quotas.listBudgets())) {
      const [first] = budgets;
      if (first === undefined) continue;
      const { teamId, keyId } = first;
      const spent = findSpentByKey(await records.quotas.readKey(teamId, keyId, today()), budgets);
      if (spent !== undefined) found.push({ teamId, keyId, ...spent });
    }
    return found;
  };

  return {
    limitsOf,
    ownLimitsOf: async (teamId) => new Set((await records.quotas.findLimits(teamId)).keys()),
    takeRequest: async (teamId) => {
      const { requests_per_second: perSecond, requests_burst: burst } = await limitsOf(teamId);
      const waitSeconds = requests.take(teamId, { perSecond, burst });
      if (waitSeconds > 0) throw tooFast('requests', 'requests_per_second', perSecond, waitSeconds);
    },
    takeCreates: (limits, teamId, count) => {
      const { creates_per_second: perSecond, creates_burst: burst } = limits;
      const waitSeconds = creates.take(teamId, { perSecond, burst }, count);
      if (waitSeconds > 0) throw tooFast('creates of sandboxes', 'creates_per_second', perSecond, waitSeconds);
    },
    checkBudgets: async (spender, limits) => {
      const spent = await findSpent(spender, limits);
      if (spent === undefined) return;
      const retryAfterSeconds = spent.period === 'day' ? secondsToNextDay(clock.now()) : totalHintSeconds;
      throw new SoulBoxError('budget_spent', spent.message, { retryAfterSeconds });
    },
    creationLimits: async ({ teamId, keyId }, limits) => {
      const budgets = await records.quotas.listBudgets({ teamId, keyId });
      const amountOf = (period: KeyBudget['period']): number | undefined =>
        budgets.find((budget) => budget.kind === 'sandboxes' && budget.period === period)?.amount;
      const [keyDay, keyTotal] = [amountOf('day'), amountOf('total')];
      return {
        sandboxes: limits.sandboxes,
        memoryMb: limits.memory_mb,
        ...(keyDay === undefined ? {} : { keyDay }),
        ...(keyTotal === undefined ? {} : { keyTotal }),
      };
    },
    checkStorage: async (teamId, limits, moreBytes) => {
      const limitMb = limits.storage_mb;
      if (limitMb === Infinity) return;
      const { snapshotBytes, uploadBytes, kvBytes } = await records.teams.readUsage(teamId);
      const usedBytes = snapshotBytes + uploadBytes + kvBytes;
      if (usedBytes < limitMb * mib && usedBytes + moreBytes <= limitMb * mib) return;
      throw new SoulBoxError(
        'limit_exceeded',
        `The team stores ${Math.ceil(usedBytes / mib)} MiB of the allowed ${limitMb} MiB in snapshots, archives and key-value data. Delete some. ${raiseTeam('storage_mb')}`,
        { retryAfterSeconds: storedHintSeconds },
      );
    },
    refuseBudgeted: async ({ teamId, keyId }) => {
      if ((await records.quotas.listBudgets({ teamId, keyId })).length === 0) return;
      throw new SoulBoxError('forbidden', 'An API key that has a budget cannot create keys or change budgets.');
    },
    today,
    listSpent: async () => [...(await listSpentTeams()), ...(await listSpentKeys())],
  };
}

function groupByKey(budgets: readonly KeyBudget[]): KeyBudget[][] {
  const groups = Map.groupBy(budgets, ({ teamId, keyId }) => `${teamId} ${keyId}`);
  return [...groups.values()];
}

function tooFast(what: string, name: TeamLimitName, perSecond: number, retryAfterSeconds: number): SoulBoxError {
  return new SoulBoxError(
    'rate_exceeded',
    `The team is limited to ${perSecond} ${what} per second. Retry later. ${raiseTeam(name)}`,
    { retryAfterSeconds },
  );
}
