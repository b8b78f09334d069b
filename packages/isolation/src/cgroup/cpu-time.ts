/** The kernel counts what a group has used anew this often. See docs/decisions/004. */
const periodMicros = 20_000;
/** The least that the kernel takes (kernel: Documentation/scheduler/sched-bwc.rst). */
const minQuotaMicros = 1000;

/** Both in microseconds, as the kernel and the OCI runtime specification name them. */
export interface CpuTime {
  readonly period: number;
  /** CPU time in each period. */
  readonly quota: number;
}

/** For so many CPUs' worth of time, fractions allowed. Always the same period, so that quotas can be compared. */
export function cpuTimeOf(cpus: number): CpuTime {
  return { period: periodMicros, quota: Math.max(minQuotaMicros, Math.floor(cpus * periodMicros)) };
}
