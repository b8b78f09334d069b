import { cpus } from 'node:os';
import type { RunnerConfig } from '../config.ts';

/** Read once: it takes milliseconds, and a host does not change its CPUs while it runs. */
const cpuCount = cpus().length;

/** CPUs' worth of time that all sandboxes of this host may use together; Infinity without a limit (docs/decisions/018). */
export function sharedCpus({ hostCpuPercent }: Pick<RunnerConfig, 'hostCpuPercent'>): number {
  return hostCpuPercent === 0 ? Infinity : (cpuCount * (100 - hostCpuPercent)) / 100;
}
