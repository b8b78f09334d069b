import type { HostFigures } from './host-figures.ts';
import { memoryGrowth } from './judge.ts';
import { percentile } from './probe.ts';
import type { SoakReport } from './run-soak.ts';

export function renderReport(report: SoakReport): string {
  const { counts, latencies, memory, start, end, violations, slowdown, dataDirectory } = report;
  const done = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`);
  return [
    `operations: ${done.join(', ')}`,
    `normal calls alone:      ${timesOf(latencies.alone)}`,
    `beside the attack:       ${timesOf(latencies.attacked)}`,
    `server memory:           ${Math.max(0, ...memory).toFixed(0)} MiB at most, ${memoryGrowth(memory).toFixed(0)} MiB of growth`,
    `at the start:            ${figuresOf(start)}`,
    `at the end:              ${figuresOf(end)}`,
    ...(slowdown === undefined ? [] : [`too slow: ${slowdown}`]),
    `violations: ${violations.length}`,
    ...violations.map((text) => `  ${text}`),
    ...(dataDirectory === undefined ? [] : [`kept for inspection: ${dataDirectory}`]),
  ].join('\n');
}

function timesOf(durations: readonly number[]): string {
  const [half, most, all] = [0.5, 0.99, 1].map((share) => percentile(durations, share).toFixed(1));
  return `p50 ${half} ms, p99 ${most} ms, at worst ${all} ms, ${durations.length} calls`;
}

function figuresOf({ memoryMib, descriptors, objects }: HostFigures): string {
  const present = Object.entries(objects).filter(([, count]) => count > 0);
  return [
    `${memoryMib.toFixed(0)} MiB`,
    `descriptors ${descriptors}`,
    ...present.map(([kind, count]) => `${kind} ${count}`),
  ].join(', ');
}
