import type { Result } from './attempt.ts';
import { walls } from './walls.ts';

/** A line for each attempt, what did not hold last, and the sums. */
export function renderTable(results: readonly Result[]): string {
  const line = ({ name, by, wall, verdict, evidence, ms }: Result): string =>
    `${verdict.padEnd(8)} ${by.padEnd(7)} ${String(ms).padStart(6)} ms  ${name} [${walls[wall]}]: ${evidence}`;
  const bad = results.filter(({ verdict }) => verdict !== 'held');
  const count = (verdict: Result['verdict']): number => results.filter((one) => one.verdict === verdict).length;
  const by = (who: Result['by']): number => results.filter((one) => one.by === who).length;
  return [
    ...results.filter(({ verdict }) => verdict === 'held').map(line),
    ...bad.map(line),
    '',
    `${results.length} attempts: ${by('user')} by the user inside, ${by('root')} by root inside, ${by('outside')} from outside`,
    `${count('held')} held, ${count('breached')} breached, ${count('unclear')} unclear`,
  ].join('\n');
}
