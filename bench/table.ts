import { isFigure } from './measurement.ts';
import type { Aim, Result } from './measurement.ts';
import type { EarlierResults } from './results.ts';
import { judge, summarize } from './statistics.ts';

const columns = ['what', 'aim', 'p50', 'p99', 'n', 'verdict'] as const;
const numbers: readonly string[] = ['p50', 'p99', 'n', 'p50 before', 'change'];

/** All results as a table for a terminal, with notes below it. With an earlier run, its p50 is beside each p50. */
export function renderTable(results: readonly Result[], before?: EarlierResults): string {
  const heads = before === undefined ? columns : [...columns.slice(0, 5), 'p50 before', 'change', 'verdict'];
  const rows = [[...heads], ...results.map((result) => toRow(result, before))];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        numbers.includes(heads[column] ?? '') ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  const notes = results.flatMap((result) =>
    !isFigure(result) || result.note === undefined ? [] : [`  ${result.what}: ${result.note}`],
  );
  return [lines[0], '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...lines.slice(1), ...notes].join(
    '\n',
  );
}

function toRow(result: Result, before: EarlierResults | undefined): string[] {
  const blank = before === undefined ? [] : ['', ''];
  if ('skipped' in result) return [result.what, '', '', '', '', ...blank, `skipped: ${result.skipped}`];
  if ('failed' in result) return [result.what, '', '', '', '', ...blank, `FAILED: ${result.failed}`];
  const { p50, p99, n } = summarize(result);
  return [
    `${result.what} (${result.unit})`,
    (result.aims ?? []).map(describeAim).join(', '),
    round(p50),
    round(p99),
    String(n),
    ...(before === undefined ? [] : compare(p50, before.figures.get(result.what)?.p50)),
    judge(result),
  ];
}

function compare(now: number, before: number | undefined): [string, string] {
  if (before === undefined) return ['', ''];
  const percent = Math.round((now / before - 1) * 100);
  return [round(before), `${percent > 0 ? '+' : ''}${percent} %`];
}

function describeAim(aim: Aim): string {
  return aim.atMost === undefined ? `${aim.at} ≥ ${aim.atLeast ?? ''}` : `${aim.at} ≤ ${aim.atMost}`;
}

function round(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
