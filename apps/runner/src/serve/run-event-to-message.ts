import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RunProgramResponseSchema } from '@soulbox/contract/runner';
import type { Detection } from '@soulbox/runtimes';
import type { Outcome } from '../run/execute.ts';
import type { Dependencies } from '../run/prepare.ts';

/** What a run tells, in this order; `log`, `stdout` and `stderr` any number of times. */
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

export function runEventToMessage(event: RunEvent): MessageInitShape<typeof RunProgramResponseSchema> {
  switch (event.kind) {
    case 'detected': {
      const { runtime, language, sureness, reasons } = event.detection;
      return { event: { case: 'detected', value: { runtime, language, sureness, reasons: [...reasons] } } };
    }
    case 'log':
      return { event: { case: 'log', value: { text: event.text } } };
    case 'started':
      return { event: { case: 'started', value: { pid: event.pid } } };
    case 'stdout':
    case 'stderr':
      return { event: { case: 'output', value: { channel: { case: event.kind, value: event.bytes } } } };
    case 'done': {
      const { outcome, dependencies, detectMs, prepareMs } = event;
      const { exitCode, ...rest } = outcome;
      return {
        event: {
          case: 'done',
          value: {
            ...rest,
            peakMemoryBytes: BigInt(outcome.peakMemoryBytes),
            dependencies,
            detectMs,
            prepareMs,
            ...(exitCode === undefined ? {} : { exitCode }),
          },
        },
      };
    }
  }
}
