import { cpus } from 'node:os';
import type { RunnerConfig } from '../config.ts';

/** Read once: it takes milliseconds, and the CPUs of a running host do not change. */
const cpuCount = cpus().length;

/**
 * CPU time that all sandboxes of this host may use together, in CPUs. Infinity without a limit (docs/decisions/018).
 */
export function sharedCpus({ hostCpuPercent }: Pick<RunnerConfig, 'hostCpuPercent'>): number {
  return hostCpuPercent === 0 ? Infinity : (cpuCount * (100 - hostCpuPercent)) / 100;
}
