import type { ChaosReport } from './run-chaos.ts';
import { countLeftovers } from './leftovers.ts';

const maxLines = 40;

/** The result as a table for a terminal, with the details of all faults. */
export function renderReport(report: ChaosReport): string {
  const { counts, kills, violations, excused, leftovers } = report;
  const rows: [string, number][] = [
    ['server killed with SIGKILL', kills.kills],
    ['  of these while it started', kills.duringStart],
    ['sandboxes followed to their end', counts.cycles],
    ['  killed', counts.killed],
    ['  ended by their deadline', counts.expired],
    ['  kept, and verified at the end', counts.kept],
    ['  slept, woke and were copied', counts.slept],
    ['pauses answered', counts.pauses],
    ['copies made by fork', counts.forks],
    ['  said to have failed', counts.copiesFailed],
    ['snapshots made', counts.snapshots],
    ['copies made from them', counts.copies],
    ['runtime processes killed', kills.tools],
    ['commands run', counts.commands],
    ['creates cut off (no promise made)', counts.createsCutOff],
    ['other calls made again', counts.retries],
    ['ended with a CRIU that was killed', excused.length],
    ['broken promises', violations.length],
    ...Object.entries(countLeftovers(leftovers)).map(([kind, count]): [string, number] => [
      `left behind: ${kind}`,
      count,
    ]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, count]) => `${name.padEnd(width)}  ${String(count).padStart(6)}`);
  const faults = [...violations, ...leftovers];
  const details = faults.slice(0, maxLines).map((line) => `  ! ${line}`);
  if (faults.length > maxLines) details.push(`  ! and ${faults.length - maxLines} more`);
  if (report.dataDirectory !== undefined) details.push(`  data and log are kept in ${report.dataDirectory}`);
  return [...lines, `in ${report.seconds.toFixed(0)} s`, ...details].join('\n');
}
