import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wholeOperation } from '@soulbox/base';
import type { ServerProcess } from '@soulbox/testing';
import { connectionTo } from './lab.ts';

interface Spent {
  readonly count: number;
  readonly seconds: number;
}

/** A server's measurements since its start, by operation and phase. */
export type PhaseTotals = ReadonlyMap<string, ReadonlyMap<string, Spent>>;

/** Asks the server in the role of its operator. */
export async function readPhaseTotals(server: ServerProcess): Promise<PhaseTotals> {
  const token = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  const response = await fetch(`${connectionTo(server).apiUrl}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`/metrics: ${response.status}`);
  return parsePhaseTotals(await response.text());
}

export function parsePhaseTotals(text: string): PhaseTotals {
  const line = /^soulbox_operation_phase_seconds_(sum|count)\{operation="([^"]+)",phase="([^"]+)"\} (\S+)$/gm;
  const totals = new Map<string, Map<string, Spent>>();
  for (const [, figure, operation = '', phase = '', value] of text.matchAll(line)) {
    const phases = totals.get(operation) ?? new Map<string, Spent>();
    totals.set(operation, phases);
    const spent = phases.get(phase) ?? { count: 0, seconds: 0 };
    phases.set(phase, { ...spent, [figure === 'sum' ? 'seconds' : 'count']: Number(value) });
  }
  return totals;
}

/** Lines for a terminal: the mean of each operation since `before`, and the share of each phase. */
export function describePhases(before: PhaseTotals, after: PhaseTotals): string[] {
  return [...after].flatMap(([operation, phases]) => {
    const since = (phase: string): Spent => {
      const [then, now] = [before.get(operation)?.get(phase), phases.get(phase)];
      return { count: (now?.count ?? 0) - (then?.count ?? 0), seconds: (now?.seconds ?? 0) - (then?.seconds ?? 0) };
    };
    const whole = since(wholeOperation);
    if (whole.count === 0) return [];
    const meanMs = ({ seconds }: Spent): number => (seconds / whole.count) * 1000;
    const parts = [...phases.keys()].filter((phase) => phase !== wholeOperation && since(phase).count > 0);
    const restMs = meanMs(whole) - parts.reduce((sum, phase) => sum + meanMs(since(phase)), 0);
    const shown = [...parts.map((phase) => `${phase} ${meanMs(since(phase)).toFixed(1)}`), `rest ${restMs.toFixed(1)}`];
    return [`${operation}: ${meanMs(whole).toFixed(1)} ms (n ${whole.count}): ${shown.join(', ')}`];
  });
}
