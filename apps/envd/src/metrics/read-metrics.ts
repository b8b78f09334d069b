import { readFile, statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { processorCount } from '../sys/processor-count.ts';
import { parseMemory, parseProcessorTicks } from './parse-proc.ts';

/** The answer of GET /metrics, as in E2B's envd. Sizes are in bytes unless the name contains MiB. */
export interface Metrics {
  /** Unix seconds. */
  readonly ts: number;
  readonly cpu_count: number;
  readonly cpu_used_pct: number;
  readonly mem_total: number;
  readonly mem_used: number;
  readonly mem_cache: number;
  readonly mem_total_mib: number;
  readonly mem_used_mib: number;
  readonly disk_used: number;
  readonly disk_total: number;
}

/** The time between the two samples of a percentage. */
const sampleMs = 100;
const mebibyte = 1024 * 1024;

/**
 * Measures what is visible inside the sandbox. The limits of the control group are not, so the host's own figures (GET
 * /sandboxes/ID/metrics) are authoritative.
 */
export async function readMetrics(): Promise<Metrics> {
  const before = parseProcessorTicks(await readFile('/proc/stat', 'utf8'));
  await sleep(sampleMs);
  const after = parseProcessorTicks(await readFile('/proc/stat', 'utf8'));
  const memory = parseMemory(await readFile('/proc/meminfo', 'utf8'));
  const disk = await statfs('/');
  const totalTicks = after.total - before.total;
  const busyShare = totalTicks <= 0 ? 0 : 1 - (after.idle - before.idle) / totalTicks;
  return {
    ts: Math.floor(Date.now() / 1000),
    cpu_count: processorCount(),
    cpu_used_pct: Math.round(Math.max(busyShare, 0) * 10_000) / 100,
    mem_total: memory.totalBytes,
    mem_used: memory.usedBytes,
    mem_cache: memory.cacheBytes,
    mem_total_mib: Math.floor(memory.totalBytes / mebibyte),
    mem_used_mib: Math.floor(memory.usedBytes / mebibyte),
    disk_used: (disk.blocks - disk.bfree) * disk.bsize,
    disk_total: disk.blocks * disk.bsize,
  };
}
