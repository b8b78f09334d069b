import type { SQLInputValue } from 'node:sqlite';
import type { SandboxListQuery } from '../sandboxes.ts';

/** A condition in SQL and the values of its `?`, in order. */
export interface SqlFilter {
  readonly where: string;
  readonly values: readonly SQLInputValue[];
}

/**
 * One `?`: the time against which deadlines are checked. A sandbox that pauses at its deadline stays until it is
 * reported paused.
 */
export const runsSql = "(state = 'running' AND (end_at > ? OR lifecycle ->> 'onTimeout' = 'pause'))";

/** Live sandboxes of the team that match, without paging. Values are always bound, never part of the text. */
export function filterFromQuery(query: Omit<SandboxListQuery, 'order' | 'after' | 'limit' | 'maxChars'>): SqlFilter {
  const where = ["state <> 'ended'", 'team_id = ?', `(state = 'paused' OR ${runsSql})`];
  const values: SQLInputValue[] = [query.teamId, query.aliveAfter];
  where.push('state IN (SELECT value FROM json_each(?))');
  values.push(JSON.stringify(query.states));
  if (query.startedAfter !== undefined) {
    where.push('started_at >= ?');
    values.push(query.startedAfter);
  }
  if (query.template !== undefined) {
    where.push('(template_id = ? OR alias = ?)');
    values.push(query.template, query.template);
  }
  if (query.templateIds !== undefined) {
    where.push('template_id IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify([...query.templateIds]));
  }
  if (query.withoutMetadata !== undefined) {
    where.push('NOT EXISTS (SELECT 1 FROM json_each(metadata) AS pair WHERE pair.key = ?)');
    values.push(query.withoutMetadata);
  }
  for (const [key, value] of Object.entries(query.metadata)) {
    where.push('EXISTS (SELECT 1 FROM json_each(metadata) AS pair WHERE pair.key = ? AND pair.value = ?)');
    values.push(key, value);
  }
  return { where: where.join(' AND '), values };
}

/** The same, after the position where the last page ended. */
export function filterFromPage(query: SandboxListQuery): SqlFilter {
  const filter = filterFromQuery(query);
  if (query.after === undefined) return filter;
  const beyond = query.order === 'asc' ? '>' : '<';
  return {
    where: `${filter.where} AND (started_at, id) ${beyond} (?, ?)`,
    values: [...filter.values, query.after.startedAt, query.after.id],
  };
}
