import type { MessageInitShape } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract';
import type { RunBuildRequestSchema, RunBuildResponse_Done, RunBuildResponse_LogEntry } from '@soulbox/contract/runner';
import { buildLogLevels } from '@soulbox/storage';
import type { BuildLog, BuildReason } from '@soulbox/storage';
import type { ApiParts } from '../context.ts';
import { buildLogBytesMax, buildLogEntriesMax, buildLogMessageMax } from '../limits.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';

export interface BuildJob {
  readonly buildId: string;
  /** Undefined when it begins from an image or from a template of the store. */
  readonly baseBuildId: string | undefined;
  readonly request: MessageInitShape<typeof RunBuildRequestSchema>;
}

type BuildOutcome =
  | { readonly kind: 'done'; readonly made: ReturnType<typeof madeFrom>; readonly cachedSteps: number }
  | { readonly kind: 'failed'; readonly reason: BuildReason };

interface Ends {
  readonly cancelled: AbortSignal;
  readonly stopping: AbortSignal;
}

/** Lets the runner build, writes its log down, and gives how it ended. Only the records make it throw. */
export async function followBuild(parts: ApiParts, job: BuildJob, ends: Ends): Promise<BuildOutcome> {
  const { buildId, request } = job;
  const minutes = parts.config.buildTimeoutMinutes;
  const late = AbortSignal.timeout(minutes * 60_000);
  const log = createLogWriter(parts, buildId);
  try {
    const signal = AbortSignal.any([ends.cancelled, ends.stopping, late]);
    for await (const { event } of parts.runner.runBuild(request, { signal })) {
      if (event.case === 'log') await log.write(event.value);
      else if (event.case === 'done')
        return { kind: 'done', made: madeFrom(event.value), cachedSteps: event.value.cachedSteps };
      else if (event.case === 'failed') {
        if (event.value.reason === 'internal')
          parts.logger.error({ buildId, step: event.value.step }, 'the runner failed to build');
        return failed(event.value.message, stepFrom(event.value.step));
      }
    }
    throw new SoulBoxError('runner_unavailable', 'The runner ended the build without a result.');
  } catch (thrown) {
    if (ends.cancelled.aborted) return failed('The build was cancelled.');
    if (ends.stopping.aborted) return failed(stoppedReason.message);
    if (late.aborted) return failed(`The build took longer than ${minutes} minutes.`);
    const error = errorFromConnect(thrown);
    parts.logger.error({ buildId, err: error }, 'a build was interrupted');
    return failed(error.message);
  }
}

/** For builds that the server left behind, whichever way it ended. */
export const stoppedReason: BuildReason = {
  message: 'The server stopped while it built this. Build it again: steps that were finished are cached.',
  step: '',
};

const failed = (message: string, step = ''): BuildOutcome => ({ kind: 'failed', reason: { message, step } });

function madeFrom({ snapshot, envdVersion }: RunBuildResponse_Done) {
  if (snapshot === undefined) throw new SoulBoxError('internal', 'The runner answered without a snapshot.');
  const { cpuCount, memoryMb, diskSizeMb } = snapshot;
  return { cpuCount, memoryMb, diskSizeMb, envdVersion };
}

const stepForm = /^(base|finalize|[1-9]\d{0,4})$/;
const stepFrom = (text: string): string => (stepForm.test(text) ? text : '');

/** Parts of the entries come out of the sandbox: levels and steps nobody knows are dropped, and all of it is bounded. */
function createLogWriter({ records }: ApiParts, buildId: string) {
  let entriesLeft = buildLogEntriesMax;
  let bytesLeft = buildLogBytesMax;
  return {
    async write(entry: RunBuildResponse_LogEntry): Promise<void> {
      if (entriesLeft <= 0) return;
      const log = logFrom(entry);
      entriesLeft -= 1;
      bytesLeft -= log.message.length;
      const isFull = entriesLeft <= 0 || bytesLeft <= 0;
      if (isFull) entriesLeft = 0;
      const message = 'The log of this build is full; what follows is left out.';
      await records.builds.appendLogs(buildId, [isFull ? { ...log, level: 'warn', message } : log]);
    },
  };
}

function logFrom(entry: RunBuildResponse_LogEntry): BuildLog {
  const { message } = entry;
  const short = message.length > buildLogMessageMax ? `${message.slice(0, buildLogMessageMax)}…` : message;
  return {
    at: msFromTimestamp(entry.timestamp),
    level: buildLogLevels.find((level) => level === entry.level) ?? 'info',
    step: stepFrom(entry.step),
    message: short.toWellFormed(),
  };
}
