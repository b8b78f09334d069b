import type { HostFigures } from './host-figures.ts';
import type { SoakResult } from './messages.ts';
import { percentile } from './probe.ts';

/** A normal call during the attack takes at most this many times as long as without it, at the 99th percentile. */
const slowdownMax = 2;
/** Below this many milliseconds a slowdown is attributed to the machine, not to the server. */
const noiseMs = 25;
/** Memory that the garbage collector keeps, and connections that a pool keeps. */
const growthMaxMib = 64;
/**
 * A young process grows until its first full collections, attacked or not (measured: 170 MiB in two minutes of normal
 * calls).
 */
const youngSeconds = 1200;
const youngGrowthMaxMib = 192;
const descriptorsMax = 24;
/** The limit, whatever the attack. */
const peakMaxMib = 1024;

export interface Measured {
  readonly start: HostFigures;
  readonly end: HostFigures;
  readonly memory: readonly number[];
}

/** Describes the slowdown of normal calls if it breaks the promise. */
export function findSlowdown({ alone, attacked }: SoakResult['latencies']): string | undefined {
  const [before, beside] = [percentile(alone, 0.99), percentile(attacked, 0.99)];
  if (beside <= slowdownMax * Math.max(before, noiseMs)) return undefined;
  return `p99 of normal calls is ${beside.toFixed(0)} ms beside the attack, ${before.toFixed(0)} ms alone`;
}

/** Describes the figures that show a leak. */
export function findLeaks({ start, end, memory }: Measured): string[] {
  const faults: string[] = [];
  const growth = memoryGrowth(memory);
  const growthAllowed = memory.length < youngSeconds ? youngGrowthMaxMib : growthMaxMib;
  if (growth > growthAllowed)
    faults.push(`memory grew by ${growth.toFixed(0)} MiB from the second quarter to the last`);
  const peak = Math.max(0, ...memory);
  if (peak > peakMaxMib) faults.push(`memory was ${peak.toFixed(0)} MiB at most`);
  if (end.descriptors > start.descriptors + descriptorsMax)
    faults.push(`descriptors: ${start.descriptors} at the start, ${end.descriptors} at the end`);
  for (const [kind, count] of Object.entries(end.objects)) {
    const before = start.objects[kind] ?? 0;
    if (count > before) faults.push(`${kind}: ${before} at the start, ${count} at the end`);
  }
  return faults;
}

/** The first quarter is ignored, because code is loaded and pools fill. */
export function memoryGrowth(memory: readonly number[]): number {
  const quarter = Math.floor(memory.length / 4);
  const median = (from: number, to: number): number => percentile(memory.slice(from, to), 0.5);
  return median(3 * quarter, memory.length) - median(quarter, 2 * quarter);
}
