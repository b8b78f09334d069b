import { renderTable } from './table.ts';

/** Functions that give the text of a column for an entry, by heading. */
export type Columns<T> = Readonly<Record<string, (entry: T) => string | number>>;

/** Prints a list as a table, or the unchanged entries with `--json`. */
export function printList<T>(
  entries: readonly T[],
  columns: Columns<T>,
  args: { readonly json?: boolean | undefined },
): void {
  if (args.json === true) {
    console.log(JSON.stringify(entries));
    return;
  }
  const rows = entries.map((entry) => Object.values(columns).map((cellOf) => String(cellOf(entry))));
  console.log(renderTable(Object.keys(columns), rows));
}
