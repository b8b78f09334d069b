import { DatabaseSync } from 'node:sqlite';

/**
 * The number of the last change of a volume that is not open. Undefined if its metadata are of an older version, or cannot
 * be read now.
 */
export function findChanges(path: string): number | undefined {
  try {
    using db = new DatabaseSync(path, { readOnly: true });
    const changes = db.prepare('SELECT change_number FROM volume').get()?.['change_number'];
    return typeof changes === 'number' ? changes : undefined;
  } catch {
    return undefined;
  }
}
