import { existsSync, readFileSync } from 'node:fs';

/** Seconds of CPU time that all sandboxes of an instance have used together, as the kernel counts them. */
export function readCpuSeconds(instance: number): number {
  const v1 = `/sys/fs/cgroup/cpuacct/soulbox-${instance}/cpuacct.usage`;
  if (existsSync(v1)) return Number(readFileSync(v1, 'latin1')) / 1e9;
  const stat = readFileSync(`/sys/fs/cgroup/soulbox-${instance}/cpu.stat`, 'latin1');
  return Number(/^usage_usec (\d+)/m.exec(stat)?.[1]) / 1e6;
}
