import type { AuditNote } from './audit.ts';

/** A whole number, or null for no limit. */
export type LimitValue = number | null;

/** Days since the Unix epoch, in UTC. */
export type Day = number;

/** What sandboxes used, or how many were created. */
export interface Consumption {
  readonly cpuMs: number;
  /** Bytes sent to the outside. */
  readonly egressBytes: number;
  readonly creates: number;
}

/** The counters of one sandbox. They only grow, as long as the epoch of the runner stays the same. */
export interface SandboxCounters {
  readonly sandboxId: string;
  readonly teamId: string;
  /** Id of the API key that created it; empty if unknown. */
  readonly keyId: string;
  readonly cpuMs: number;
  readonly egressBytes: number;
  /** The runner reports it for the last time. */
  readonly hasEnded: boolean;
}

export const budgetKinds = ['cpu_seconds', 'egress_mb', 'sandboxes'] as const;
export type BudgetKind = (typeof budgetKinds)[number];
export const budgetPeriods = ['day', 'total'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

/** How much of something the sandboxes of one API key may use. */
export interface KeyBudget {
  readonly keyId: string;
  readonly teamId: string;
  readonly kind: BudgetKind;
  readonly period: BudgetPeriod;
  readonly amount: number;
}

export interface QuotaRecords {
  /** The limits of a team that differ from those of the server, by name. */
  findLimits(teamId: string): Promise<ReadonlyMap<string, LimitValue>>;
  /** Sets limits; undefined removes one, so that the server's applies again. False if there is no such team. */
  setLimits(
    teamId: string,
    changes: Readonly<Record<string, LimitValue | undefined>>,
    note?: AuditNote,
  ): Promise<boolean>;
  /** MiB of memory of the team's running sandboxes and intents. */
  readRunningMemoryMb(teamId: string, aliveAfter: number): Promise<number>;
  /**
   * Adds what the counters have grown by since they were recorded last. One step, so that no growth is counted twice,
   * even if the same counters are recorded again. Counters of a team that does not exist are ignored. Counters of
   * another epoch start at 0. `forgotten`: sandboxes that the runner will never report again.
   */
  recordCounters(
    epoch: string,
    counters: readonly SandboxCounters[],
    day: Day,
    forgotten?: readonly string[],
  ): Promise<void>;
  /** What the team has used on a day. */
  readTeamDay(teamId: string, day: Day): Promise<Consumption>;
  /** Every team that has used something on a day. */
  listTeamDays(day: Day): Promise<(Consumption & { readonly teamId: string })[]>;
  /** What the sandboxes of a key have used, on a day and in total. */
  readKey(teamId: string, keyId: string, day: Day): Promise<Readonly<Record<BudgetPeriod, Consumption>>>;
  /** Budgets of one key, of all keys of a team, or of all. */
  listBudgets(of?: { readonly teamId: string; readonly keyId?: string }): Promise<KeyBudget[]>;
  /** Replaces all budgets of a key. */
  setBudgets(teamId: string, keyId: string, budgets: readonly KeyBudget[], note?: AuditNote): Promise<void>;
  /** Deletes the figures of days before this one, `limit` at most; totals stay. Returns their number. */
  purgeDays(before: Day, limit: number): Promise<number>;
}
