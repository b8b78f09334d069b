import type { Aim, Figure, Skipped } from './measurement.ts';
import { judge, summarize } from './statistics.ts';

const columns = ['what', 'aim', 'p50', 'p99', 'n', 'verdict'] as const;

/** All results as a table for a terminal, notes below it. */
export function renderTable(results: readonly (Figure | Skipped)[]): string {
  const rows = [[...columns], ...results.map(toRow)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2 || column > 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  const notes = results.flatMap((result) =>
    'skipped' in result || result.note === undefined ? [] : [`  ${result.what}: ${result.note}`],
  );
  return [lines[0], '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...lines.slice(1), ...notes].join(
    '\n',
  );
}

function toRow(result: Figure | Skipped): string[] {
  if ('skipped' in result) return [result.what, '', '', '', '', `skipped: ${result.skipped}`];
  const { p50, p99, n } = summarize(result);
  return [
    `${result.what} (${result.unit})`,
    (result.aims ?? []).map(describeAim).join(', '),
    round(p50),
    round(p99),
    String(n),
    judge(result),
  ];
}

function describeAim(aim: Aim): string {
  return aim.atMost === undefined ? `${aim.at} ≥ ${aim.atLeast ?? ''}` : `${aim.at} ≤ ${aim.atMost}`;
}

function round(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
