import type { SQLOutputValue } from 'node:sqlite';

type Row = Record<string, SQLOutputValue>;

/** Rows up to `limit`, or fewer if their texts together would exceed `maxChars`, but always at least one. */
export function takeRows(
  rows: Iterable<Row>,
  { limit, maxChars }: { readonly limit: number; readonly maxChars: number },
): { rows: Row[]; isCut: boolean } {
  const taken: Row[] = [];
  let chars = 0;
  for (const row of rows) {
    for (const value of Object.values(row)) if (typeof value === 'string') chars += value.length;
    if (taken.length === limit || (chars > maxChars && taken.length > 0)) return { rows: taken, isCut: true };
    taken.push(row);
  }
  return { rows: taken, isCut: false };
}
