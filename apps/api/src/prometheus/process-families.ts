import { readdir, readFile } from 'node:fs/promises';
import type { LoopLag } from './loop-lag.ts';
import { gauge } from './text-format.ts';
import type { MetricFamily } from './text-format.ts';

/** Of the server process, under the names that Prometheus' own clients use (prometheus.io/docs/instrumenting/writing_clientlibs). */
export async function processFamilies(loopLag: LoopLag): Promise<MetricFamily[]> {
  const memory = process.memoryUsage();
  const lag = loopLag.read();
  const limits = await readFile('/proc/self/limits', 'utf8');
  const fdsMax = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? '';
  return [
    gauge('process_resident_memory_bytes', 'Memory of the server process.', memory.rss),
    gauge('soulbox_api_heap_used_bytes', 'JavaScript heap in use.', memory.heapUsed),
    gauge(
      'process_start_time_seconds',
      'Unix time at which the server process started.',
      Math.round(performance.timeOrigin) / 1000,
    ),
    gauge('process_open_fds', 'Open file descriptors.', (await readdir('/proc/self/fd')).length),
    gauge('process_max_fds', 'How many it may have.', fdsMax === 'unlimited' ? Infinity : Number(fdsMax)),
    gauge('nodejs_eventloop_lag_p50_seconds', 'Half of the turns of the event loop were less late, in 10 s.', lag.p50),
    gauge('nodejs_eventloop_lag_p99_seconds', 'All but one of 100 turns were less late, in 10 s.', lag.p99),
    gauge('nodejs_eventloop_lag_max_seconds', 'The latest turn, in 10 s.', lag.max),
  ];
}
