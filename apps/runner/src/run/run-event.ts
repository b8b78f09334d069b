import type { Detection } from '@soulbox/runtimes';
import type { Dependencies } from './prepare.ts';

export interface Outcome {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  /** Such as SIGKILL. Empty when it exited. */
  readonly signal: string;
  readonly timedOut: boolean;
  readonly memoryExceeded: boolean;
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
  readonly executeMs: number;
  /** 0: not measured. */
  readonly peakMemoryBytes: number;
}

/** The events of a run, in this order. `log`, `stdout` and `stderr` occur any number of times. */
export type RunEvent =
  | { readonly kind: 'detected'; readonly detection: Detection }
  | { readonly kind: 'log'; readonly text: Uint8Array }
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'done';
      readonly outcome: Outcome;
      readonly dependencies: Dependencies;
      readonly detectMs: number;
      readonly prepareMs: number;
    };
