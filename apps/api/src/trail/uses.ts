import type { AuditResult, AuditStage } from '@soulbox/audit';
import type { Clock } from '@soulbox/base';
import type { Deed } from './deed.ts';

/**
 * Uses that are too frequent for a record each, such as requests with a signed URL. The first use of a group is recorded
 * at once; further ones within a minute are counted and leave one record. So a crash hides at most the count of a
 * minute, never that there were uses.
 */
export interface Uses {
  /** Never throws and never waits. `times`: uses that somebody else has counted. */
  note(use: Use, times?: number): void;
  /** Records the groups whose minute is over; `all` of them when the server stops. */
  flush(all?: boolean): Promise<void>;
}

/** Uses with the same team, action, actor, target, rule, result and source are one group. */
export type Use = Pick<Deed, 'teamId' | 'action' | 'class' | 'actor' | 'scope' | 'rule' | 'target' | 'source'> & {
  readonly result: AuditResult;
};

/** Milliseconds. */
const windowMs = 60_000;
/**
 * Groups with an own count, about 5 MB. Further ones are counted together for each team and action, without the target
 * and the actor.
 */
const groupsMax = 10_000;

type Tell = (deed: Deed, stage: AuditStage, result: AuditResult) => Promise<void>;

export function createUses(tell: Tell, clock: Clock): Uses {
  const groups = new Map<string, { readonly use: Use; readonly since: number; count: number }>();
  const telling = new Set<Promise<void>>();
  const record = (
    { result, ...deed }: Use,
    facts: { readonly count: number; readonly from: number; readonly to: number },
  ) => {
    const told = tell({ ...deed, facts }, 'event', result);
    telling.add(told);
    void told.finally(() => telling.delete(told));
  };
  return {
    note(use, times = 1) {
      const now = clock.now();
      const own = groups.size < groupsMax || groups.has(nameOf(use)) ? use : withoutDetails(use);
      const name = nameOf(own);
      const group = groups.get(name);
      if (group !== undefined) {
        group.count += times;
        return;
      }
      groups.set(name, { use: own, since: now, count: 0 });
      record(own, { count: times, from: now, to: now });
    },
    async flush(all = false) {
      const now = clock.now();
      for (const [name, { use, since, count }] of groups) {
        if (!all && now - since < windowMs) continue;
        groups.delete(name);
        if (count > 0) record(use, { count, from: since, to: now });
      }
      await Promise.all(telling);
    },
  };
}

function nameOf({ teamId, action, actor, scope, rule, target, result, source }: Use): string {
  return [
    teamId,
    action,
    actor.kind,
    actor.id,
    scope,
    rule,
    target.kind,
    target.id,
    result.status,
    result.code,
    source?.address,
  ].join(' ');
}

const withoutDetails = ({ source: _, ...use }: Use): Use => ({
  ...use,
  actor: { kind: 'server', id: 'many' },
  target: { kind: use.target.kind, id: '' },
});
