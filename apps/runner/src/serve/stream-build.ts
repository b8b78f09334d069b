import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { envdVersion } from '@soulbox/contract';
import type { RunBuildResponseSchema } from '@soulbox/contract/runner';
import { snapshotToMessage } from './to-message.ts';
import type { BuildLogEntry } from '../builds/build-log.ts';
import type { BuildSpec } from '../builds/build-spec.ts';
import type { BuildContext } from '../builds/builds.ts';
import { runBuild } from '../builds/run-build.ts';
import type { BuildOutcome } from '../builds/run-build.ts';

type BuildEvent = MessageInitShape<typeof RunBuildResponseSchema>;

/**
 * Runs a build and yields its log, then its outcome. A reader that leaves cancels the build. A slow reader does not
 * slow the build down, because the log is bounded (build-log.ts).
 */
export async function* streamBuild(
  context: BuildContext,
  spec: BuildSpec,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent> {
  const left = new AbortController();
  const waiting: BuildEvent[] = [];
  let wake = (): void => undefined;
  const push = (event: BuildEvent): void => {
    waiting.push(event);
    wake();
  };
  const outcome = runBuild(context, spec, (entry) => push(logToEvent(entry)), AbortSignal.any([signal, left.signal]));
  void outcome.then((done) => push(outcomeToEvent(done)));
  try {
    for (;;) {
      const event = waiting.shift();
      if (event === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else yield event;
      if (event !== undefined && event.event?.case !== 'log') return;
    }
  } finally {
    left.abort();
    await outcome;
  }
}

function logToEvent({ atMs, level, step, message }: BuildLogEntry): BuildEvent {
  return { event: { case: 'log', value: { timestamp: timestampFromMs(atMs), level, step, message } } };
}

function outcomeToEvent(outcome: BuildOutcome): BuildEvent {
  if (outcome.kind === 'failed') {
    const { reason, message } = outcome.error;
    return { event: { case: 'failed', value: { reason, message, step: outcome.step } } };
  }
  const { snapshot, cachedSteps } = outcome;
  return { event: { case: 'done', value: { snapshot: snapshotToMessage(snapshot), envdVersion, cachedSteps } } };
}
