import type { DatabaseSync } from 'node:sqlite';
import type { BuildReason, BuildRecord, BuildRecords, BuildStatus } from '../builds.ts';
import { sqliteBuildLogs } from './build-logs.ts';
import { buildFromRow } from './build-row.ts';
import { tagTable } from './template-tags.ts';
import { inTransaction } from './transaction.ts';

/** Builds of the team of template `?1` in state `?2`. */
const countSql = `
  SELECT count(*) AS number FROM builds JOIN templates ON templates.id = builds.template_id
  WHERE status = ?2 AND team_id = (SELECT team_id FROM templates WHERE id = ?1)`;

const requestSql = `
  INSERT INTO builds (id, template_id, tags, status, cpu_count, memory_mb, min_free_disk_mb, created_at, updated_at)
  VALUES (:id, :template, :tags, 'waiting', :cpu, :memory, :disk, :now, :now)`;

const completeSql = `
  UPDATE builds SET status = 'ready', cpu_count = ?, memory_mb = ?, disk_size_mb = ?, envd_version = ?,
    finished_at = ?5, updated_at = ?5
  WHERE id = ?6`;

const failSql = (where: string): string =>
  `UPDATE builds SET status = 'error', reason = ?1, reason_step = ?2, finished_at = ?3, updated_at = ?3 WHERE ${where}`;

const untaggedSql = 'NOT EXISTS (SELECT 1 FROM template_tags WHERE build_id = builds.id)';

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteBuilds(db: DatabaseSync): BuildRecords {
  const tags = tagTable(db);
  const insert = db.prepare(requestSql);
  const byId = db.prepare('SELECT * FROM builds WHERE id = ?');
  const ofTemplate = db.prepare('SELECT * FROM builds WHERE template_id = ? AND status = ?');
  const page = db.prepare(
    `SELECT * FROM builds WHERE template_id = ? AND (created_at, id) < (?, ?)
     ORDER BY created_at DESC, id DESC LIMIT ?`,
  );
  const countAll = db.prepare('SELECT count(*) AS number FROM builds WHERE template_id = ?');
  const countIn = db.prepare(countSql);
  const begin = db.prepare(
    "UPDATE builds SET status = 'building', start_command = ?, ready_command = ?, updated_at = ? WHERE id = ?",
  );
  const complete = db.prepare(completeSql);
  const fail = db.prepare(failSql("id = ?4 AND status IN ('waiting', 'building')"));
  const failAll = db.prepare(failSql("status = 'building'"));
  const lose = db.prepare(failSql("id = ?4 AND status = 'ready'"));
  const dropTags = db.prepare('DELETE FROM template_tags WHERE build_id = ?');
  const tagged = db.prepare('SELECT DISTINCT build_id FROM template_tags');
  const giveUp = db.prepare(failSql("status = 'waiting' AND created_at < ?4"));
  const purge = db.prepare(
    `DELETE FROM builds WHERE id IN (
       SELECT id FROM builds WHERE status IN ('ready', 'error') AND finished_at < ? AND ${untaggedSql} LIMIT ?)`,
  );
  const touchTemplate = db.prepare('UPDATE templates SET updated_at = max(updated_at, ?) WHERE id = ?');

  const find = (id: string): BuildRecord | undefined => {
    const row = byId.get(id);
    return row === undefined ? undefined : buildFromRow(row);
  };
  const countOfTeam = (templateId: string, status: BuildStatus): number =>
    Number(countIn.get(templateId, status)?.['number']);
  /** Other builds of the template in this state that want one of the tags. */
  const rivals = (build: Pick<BuildRecord, 'id' | 'templateId' | 'tags'>, status: BuildStatus): string[] =>
    ofTemplate
      .all(build.templateId, status)
      .map(buildFromRow)
      .filter((other) => other.id !== build.id && other.tags.some((tag) => build.tags.includes(tag)))
      .map((other) => other.id);
  const failEach = (ids: readonly string[], { message, step }: BuildReason, now: number): void => {
    for (const id of ids) fail.run(message, step, now, id);
  };

  return {
    request: async (build, limit, reason) =>
      inTransaction(db, () => {
        const given = rivals(build, 'waiting');
        if (countOfTeam(build.templateId, 'waiting') - given.length >= limit) return false;
        const { id, templateId: template, cpuCount: cpu, memoryMb: memory, minFreeDiskMb: disk } = build;
        failEach(given, reason, build.createdAt);
        insert.run({ id, template, tags: JSON.stringify(build.tags), cpu, memory, disk, now: build.createdAt });
        touchTemplate.run(build.createdAt, template);
        return true;
      }),
    find: async (id) => find(id),
    list: async (templateId, after, limit) => {
      const { createdAt, id } = after ?? { createdAt: Number.MAX_SAFE_INTEGER, id: '' };
      const rows = page.all(templateId, createdAt, id, limit + 1).map(buildFromRow);
      const builds = rows.slice(0, limit);
      const last = builds.at(-1);
      const next = rows.length > limit && last !== undefined ? { createdAt: last.createdAt, id: last.id } : undefined;
      return { builds, next };
    },
    count: async (templateId) => Number(countAll.get(templateId)?.['number']),
    start: async (id, { startCommand, readyCommand }, limit, reason, now) =>
      inTransaction(db, () => {
        const build = find(id);
        if (build?.status !== 'waiting') return { outcome: 'not_waiting' };
        const replaced = rivals(build, 'building');
        if (countOfTeam(build.templateId, 'building') - replaced.length >= limit) return { outcome: 'too_many' };
        failEach(replaced, reason, now);
        begin.run(startCommand, readyCommand, now, id);
        return { outcome: 'started', replaced };
      }),
    complete: async (id, { cpuCount, memoryMb, diskSizeMb, envdVersion, finishedAt }) =>
      inTransaction(db, () => {
        const build = find(id);
        if (build?.status !== 'building') return undefined;
        complete.run(cpuCount, memoryMb, diskSizeMb, envdVersion, finishedAt, id);
        touchTemplate.run(finishedAt, build.templateId);
        return tags.assign(build.templateId, id, build.tags, finishedAt);
      }),
    fail: async (id, { message, step }, now) => fail.run(message, step, now, id).changes === 1,
    failUnderway: async ({ message, step }, now) => Number(failAll.run(message, step, now).changes),
    lose: async (id, { message, step }, now) =>
      inTransaction(db, () => {
        if (lose.run(message, step, now, id).changes === 1) dropTags.run(id);
      }),
    listTagged: async () => tagged.all().map((row) => String(row['build_id'])),
    isTagged: async (id) => tags.isTagged(id),
    giveUp: async (before, { message, step }, now) => void giveUp.run(message, step, now, before),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
    ...sqliteBuildLogs(db),
  };
}
