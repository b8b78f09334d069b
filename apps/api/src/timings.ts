import { AsyncLocalStorage } from 'node:async_hooks';
import type { OperationTime } from '@soulbox/contract/runner';

interface Timings {
  readonly startedAt: number;
  readonly operations: OperationTime[];
}

const timings = new AsyncLocalStorage<Timings>();

/** Continues a request whose caller wants to know where its time goes. */
export function keepTimings(handle: () => void): void {
  timings.run({ startedAt: performance.now(), operations: [] }, handle);
}

/** Notes what the runner has measured for the current request. */
export function noteOperations(answer: unknown): void {
  const kept = timings.getStore();
  if (kept === undefined || typeof answer !== 'object' || answer === null || !('operations' in answer)) return;
  kept.operations.push(...(answer.operations as OperationTime[]));
}

/**
 * The value of the header `Server-Timing` (W3C) for the current request: each operation, its phases as
 * `operation.phase`, and `total` for the whole request. Undefined: the caller did not ask.
 */
export function serverTiming(): string | undefined {
  const kept = timings.getStore();
  if (kept === undefined) return undefined;
  const entry = (name: string, ms: number): string => `${name};dur=${Math.round(ms * 10) / 10}`;
  return [
    ...kept.operations.flatMap(({ operation, durationMs, phases }) => [
      entry(operation, durationMs),
      ...phases.map(({ name, durationMs: ms }) => entry(`${operation}.${name}`, ms)),
    ]),
    entry('total', performance.now() - kept.startedAt),
  ].join(', ');
}
