const gap = '  ';
/** Narrower columns say nothing. */
const narrowest = 8;

/**
 * Rows with headings; columns are padded to their widest cell. At a terminal the widest columns are cut so that a row
 * fits the window; `columns` is its width.
 */
export function renderTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number | undefined = process.stdout.isTTY ? process.stdout.columns : undefined,
): string {
  const all = [headings, ...rows];
  const wanted = headings.map((_, column) => all.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0));
  const widths = columns === undefined ? wanted : fitted(wanted, columns - gap.length * (headings.length - 1));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cutTo(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd(),
  );
  return lines.join('\n');
}

/** Takes from the widest columns first. The first one is kept, because it has the id or the name for other commands. */
function fitted(wanted: readonly number[], room: number): readonly number[] {
  const widths = [...wanted];
  for (let excess = widths.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess--) {
    const widest = widths.indexOf(Math.max(...widths.slice(1)), 1);
    const width = widths[widest] ?? 0;
    if (widest === -1 || width <= narrowest) break;
    widths[widest] = width - 1;
  }
  return widths;
}

function cutTo(cell: string, width: number): string {
  return cell.length <= width ? cell : `${cell.slice(0, Math.max(0, width - 1))}…`;
}

/** A size in readable form: `1.2 GB`. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ''}`;
}
