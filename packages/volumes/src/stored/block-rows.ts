import { existsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';
import type { BlockPlace } from '../metadata/metadata.ts';

const rowsAtOnce = 5000;

export interface BlockRow extends BlockPlace {
  readonly name: string;
}

/**
 * All blocks of the block store that the metadata of a volume name. None if there are no metadata. Throws if they cannot
 * be read.
 */
export async function* rowsOf(path: string): AsyncGenerator<BlockRow> {
  if (!existsSync(path)) return;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const select = db.prepare('SELECT ino, idx, object FROM block WHERE (ino, idx) > (?, ?) ORDER BY ino, idx LIMIT ?');
    for (let rows = select.all(0, -1, rowsAtOnce); rows.length > 0;) {
      for (const { ino, idx, object } of rows)
        if (typeof object === 'string') yield { ino: ino as number, index: idx as number, name: object };
      const last = rows.at(-1);
      await nextTurn();
      rows = select.all(last?.['ino'] ?? 0, last?.['idx'] ?? 0, rowsAtOnce);
    }
  } finally {
    db.close();
  }
}

/** The names of all blocks in the metadata of a volume, as `rowsOf`. */
export async function* namesOf(path: string): AsyncGenerator<string> {
  for await (const { name } of rowsOf(path)) yield name;
}
