import type { RunProgramResponse } from '@soulbox/contract/runner';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { errorForCaller, httpBodyFromError } from '@soulbox/contract';
import { runLimits } from '../limits.ts';
import { createDecoder, endedFrom } from './follow.ts';
import type { Decoder } from './follow.ts';
import type { Run, RunDetected, RunEvent } from './schemas.ts';

interface Decoders {
  readonly stdout: Decoder;
  readonly stderr: Decoder;
  readonly log: Decoder;
}

/**
 * The run as lines of JSON, as it happens. A failure after the first line is also sent as a line, because the status
 * has been sent.
 */
export async function* linesOf(
  detected: RunDetected,
  messages: AsyncGenerator<RunProgramResponse, undefined>,
  encoding: Run['encoding'],
  logger: Logger,
): AsyncGenerator<string> {
  const decoders = {
    stdout: createDecoder(encoding),
    stderr: createDecoder(encoding),
    log: createDecoder('utf8'),
  };
  yield line({ type: 'detected', ...detected });
  try {
    for await (const message of withKeepalive(messages, runLimits.keepaliveMs)) {
      if (message === undefined) yield line({ type: 'keepalive' });
      else for (const event of eventsFrom(message, decoders)) yield line(event);
    }
  } catch (thrown) {
    const error = errorFromUnknown(thrown);
    if (error.reason === 'internal') logger.error({ err: thrown }, 'run failed');
    yield line({ type: 'error', ...httpBodyFromError(errorForCaller(error)) });
  }
}

function eventsFrom({ event }: RunProgramResponse, decoders: Decoders): RunEvent[] {
  switch (event.case) {
    case 'log':
      return [{ type: 'log', text: decoders.log.decode(event.value.text) }];
    case 'started':
      return [{ type: 'started', pid: event.value.pid }];
    case 'output': {
      const { case: type, value } = event.value.channel;
      return type === undefined ? [] : outputEvents(type, decoders[type].decode(value));
    }
    case 'done':
      return [
        ...outputEvents('stdout', decoders.stdout.end()),
        ...outputEvents('stderr', decoders.stderr.end()),
        { type: 'result', ...endedFrom(event.value) },
      ];
    default:
      return [];
  }
}

function outputEvents(type: 'stdout' | 'stderr', data: string): RunEvent[] {
  return data === '' ? [] : [{ type, data }];
}

function line(event: RunEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** The messages, and undefined whenever none has arrived for this time. */
async function* withKeepalive<T>(
  messages: AsyncGenerator<T, undefined>,
  intervalMs: number,
): AsyncGenerator<T | undefined> {
  const quiet = Symbol('quiet');
  let next = messages.next();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<typeof quiet>((resolve) => {
        timer = setTimeout(() => resolve(quiet), intervalMs);
      });
      const first = await Promise.race([next, silence]).finally(() => clearTimeout(timer));
      if (first === quiet) {
        yield undefined;
        continue;
      }
      if (first.done === true) return;
      yield first.value;
      next = messages.next();
    }
  } finally {
    await messages.return(undefined);
  }
}
