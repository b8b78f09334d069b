/** The kernel renews each group's quota in this interval. See docs/decisions/004. */
const periodMicros = 20_000;
/** The smallest quota that the kernel accepts (kernel: Documentation/scheduler/sched-bwc.rst). */
const minQuotaMicros = 1000;

/** Both in microseconds, named as in the kernel and the OCI runtime specification. */
export interface CpuTime {
  readonly period: number;
  /** CPU time per period. */
  readonly quota: number;
}

/**
 * The quota for a number of CPUs, which may be a fraction. The period is always the same, so that quotas can be
 * compared.
 */
export function cpuTimeOf(cpus: number): CpuTime {
  return { period: periodMicros, quota: Math.max(minQuotaMicros, Math.floor(cpus * periodMicros)) };
}
