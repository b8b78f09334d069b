import type { DatabaseSync } from 'node:sqlite';
import type { TemplateTag } from '../templates.ts';

/** The tags of templates; all methods must be called inside a transaction. */
export interface TagTable {
  list(templateId: string): TemplateTag[];
  find(templateId: string, tag: string): TemplateTag | undefined;
  isTagged(buildId: string): boolean;
  /** Points tags at a build. Returns the builds that no tag points at any more. */
  assign(templateId: string, buildId: string, tags: readonly string[], now: number): string[];
  /** Removes existing tags. Returns the builds that no tag points at any more. */
  remove(templateId: string, tags: readonly string[]): string[];
}

export function tagTable(db: DatabaseSync): TagTable {
  const all = db.prepare('SELECT tag, build_id, created_at FROM template_tags WHERE template_id = ? ORDER BY tag');
  const one = db.prepare('SELECT tag, build_id, created_at FROM template_tags WHERE template_id = ? AND tag = ?');
  const tagged = db.prepare('SELECT 1 FROM template_tags WHERE build_id = ?');
  const put = db.prepare(
    'INSERT OR REPLACE INTO template_tags (template_id, tag, build_id, created_at) VALUES (?, ?, ?, ?)',
  );
  const drop = db.prepare('DELETE FROM template_tags WHERE template_id = ? AND tag = ?');

  const tagFromRow = (row: NonNullable<ReturnType<typeof one.get>>): TemplateTag => ({
    tag: String(row['tag']),
    buildId: String(row['build_id']),
    createdAt: Number(row['created_at']),
  });
  const find = (templateId: string, tag: string): TemplateTag | undefined => {
    const row = one.get(templateId, tag);
    return row === undefined ? undefined : tagFromRow(row);
  };
  const isTagged = (buildId: string): boolean => tagged.get(buildId) !== undefined;
  /** The builds that `tags` point at now and that no tag points at after `change`. */
  const untaggedBy = (templateId: string, tags: readonly string[], change: () => void): string[] => {
    const before = new Set(tags.flatMap((tag) => find(templateId, tag)?.buildId ?? []));
    change();
    return [...before].filter((buildId) => !isTagged(buildId));
  };

  return {
    list: (templateId) => all.all(templateId).map(tagFromRow),
    find,
    isTagged,
    assign: (templateId, buildId, tags, now) =>
      untaggedBy(templateId, tags, () => {
        for (const tag of tags) put.run(templateId, tag, buildId, now);
      }),
    remove: (templateId, tags) =>
      untaggedBy(templateId, tags, () => {
        for (const tag of tags) drop.run(templateId, tag);
      }),
  };
}
