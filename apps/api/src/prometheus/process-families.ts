import type { ProcessFigures, SupervisedProcesses } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

type Measured = SupervisedProcesses['processes'][number];

/**
 * Figures of each process of the server, with the names that Prometheus' own clients use
 * (prometheus.io/docs/instrumenting/writing_clientlibs).
 */
export async function processFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const supervised = context.supervised();
  const runner = await askRunner(context);
  const processes: Measured[] = [
    { process: 'control', figures: await context.measureProcess() },
    { process: 'runner', figures: runner.figures },
    ...supervised.processes,
  ];
  const family = (
    name: string,
    help: string,
    valueOf: (figures: ProcessFigures) => number | undefined,
    type: MetricFamily['type'] = 'gauge',
  ): MetricFamily => ({
    name,
    help,
    type,
    samples: processes.flatMap(({ process, figures }) => {
      const value = valueOf(figures);
      return value === undefined ? [] : [{ labels: { process }, value }];
    }),
  });
  return [
    ...runner.host,
    family('process_resident_memory_bytes', 'Resident memory of a process of the server.', (of) => of.residentBytes),
    family('soulbox_process_heap_used_bytes', 'JavaScript heap in use.', (of) => of.heapUsedBytes),
    family('process_start_time_seconds', 'Unix time at which the process started.', (of) => of.startTimeSeconds),
    family('process_open_fds', 'Open file descriptors.', (of) => of.openDescriptors),
    family('process_max_fds', 'Maximum number of open file descriptors.', (of) => of.maxDescriptors ?? Infinity),
    family(
      'nodejs_eventloop_lag_p50_seconds',
      'Median of the event-loop delay over the last 10 s.',
      (of) => of.loopLag?.p50,
    ),
    family(
      'nodejs_eventloop_lag_p99_seconds',
      '99th percentile of the event-loop delay over the last 10 s.',
      (of) => of.loopLag?.p99,
    ),
    family(
      'nodejs_eventloop_lag_max_seconds',
      'Maximum of the event-loop delay over the last 10 s.',
      (of) => of.loopLag?.max,
    ),
    family(
      'soulbox_log_lines_dropped_total',
      'Log lines that were lost because the log could not be written.',
      (of) => of.droppedLogLines,
      'counter',
    ),
    {
      name: 'soulbox_process_restarts_total',
      help: 'Restarts of a process of the server after it ended unexpectedly.',
      type: 'counter',
      samples: supervised.restarts.map(({ process, count }) => ({ labels: { process }, value: count })),
    },
  ];
}

async function askRunner({ runner }: ApiContext): Promise<{ figures: ProcessFigures; host: MetricFamily[] }> {
  const answer = await callRunner((options) => runner.getProcess({}, options));
  const most = Number(answer.maxDescriptors);
  const figures = {
    residentBytes: Number(answer.residentMemoryBytes),
    heapUsedBytes: Number(answer.heapUsedBytes),
    startTimeSeconds: answer.startTimeSeconds,
    openDescriptors: answer.openDescriptors,
    maxDescriptors: most === 0 ? undefined : most,
    loopLag: { p50: answer.loopLagP50Seconds, p99: answer.loopLagP99Seconds, max: answer.loopLagMaxSeconds },
    droppedLogLines: Number(answer.droppedLogLines),
  };
  const available = Number(answer.hostMemoryAvailableBytes);
  const host = [
    gauge('soulbox_host_load1', 'Processes of the host that run or wait, as a mean over a minute.', answer.hostLoad1),
    gauge('soulbox_host_cpus', 'CPUs of the host.', answer.hostCpus),
    gauge('soulbox_host_memory_available_bytes', 'Memory of the host that new work can get.', available),
    gauge('soulbox_host_memory_total_bytes', 'Memory of the host.', Number(answer.hostMemoryTotalBytes)),
  ];
  return { figures, host };
}
