import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The length of a measurement, in milliseconds: enough for a 99th percentile of 200 samples. */
const spanMs = 20_000;
/** Each sample wakes the process, so that idle ones would do little else if there were more. */
const resolutionMs = 100;

/** The delay of event loop turns in the last complete measurement, in seconds. All readers see the same values. */
export interface LoopLag {
  read(): { readonly p50: number; readonly p99: number; readonly max: number };
}

/** Measures until `stopping` is aborted. */
export function measureLoopLag(stopping: AbortSignal): LoopLag {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  // The histogram counts nanoseconds between two samples. The resolution is part of that, and is not lag.
  const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3);
  const summarize = () => ({
    p50: seconds(delays.percentile(50)),
    p99: seconds(delays.percentile(99)),
    max: seconds(delays.max),
  });
  let last: ReturnType<typeof summarize> | undefined;
  delays.enable();
  const timer = setInterval(() => {
    last = summarize();
    delays.reset();
  }, spanMs).unref();
  stopping.addEventListener('abort', () => {
    clearInterval(timer);
    delays.disable();
  });
  return { read: () => last ?? summarize() };
}
