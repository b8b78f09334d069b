import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RunProgramResponseSchema } from '@soulbox/contract/runner';
import type { RunEvent } from '../run/run-event.ts';

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
