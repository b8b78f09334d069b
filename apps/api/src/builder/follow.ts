import type { MessageInitShape } from '@bufbuild/protobuf';
import { SoulBoxError, sleepUnlessAborted } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { errorForCaller } from '@soulbox/contract';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { RunBuildRequestSchema, RunBuildResponse_Done } from '@soulbox/contract/runner';
import { buildLogLevels } from '@soulbox/storage';
import type { BlobStore, BuildLog, BuildReason, Records } from '@soulbox/storage';
import { buildLogBytesMax, buildLogEntriesMax, buildLogMessageMax } from '../limits.ts';
import type { Runner } from '../runner/client.ts';
import { dropDamagedFile } from './drop-damaged-file.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';

/** The parts of the server that following a build needs. */
export interface BuilderParts {
  readonly records: Records;
  /** Archives that were uploaded for builds. */
  readonly files: Pick<BlobStore, 'delete'>;
  readonly runner: Runner;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface BuildJob {
  readonly buildId: string;
  /** Undefined for a build based on an image or on a template of the store. */
  readonly baseBuildId: string | undefined;
  readonly request: MessageInitShape<typeof RunBuildRequestSchema>;
}

type BuildOutcome =
  | { readonly kind: 'done'; readonly made: ReturnType<typeof madeFrom>; readonly cachedSteps: number }
  | { readonly kind: 'failed'; readonly reason: BuildReason };

interface Ends {
  readonly canceled: AbortSignal;
  readonly stopping: AbortSignal;
}

/** Wait before the next attempt when the runner is at its limit of builds. Milliseconds. */
const retryMs = 1000;
/** The runner's reason for that. */
const fullReason = 'too_many_builds';

/** Starts the build in the runner, records its log and returns its outcome. Throws only when the records fail. */
export async function followBuild(parts: BuilderParts, job: BuildJob, ends: Ends): Promise<BuildOutcome> {
  const { buildId } = job;
  const log = createLogWriter(parts, buildId);
  const signal = AbortSignal.any([ends.canceled, ends.stopping]);
  try {
    for (let tries = 0; ; tries += 1) {
      const outcome = await followOnce(parts, job, log, signal);
      if (outcome !== 'full') return outcome;
      if (tries === 0) await log.write({ atMs: parts.clock.now(), level: 'info', step: '', message: waitingMessage });
      await sleepUnlessAborted(retryMs, signal);
    }
  } catch (thrown) {
    if (ends.canceled.aborted) return failed('The build was canceled.');
    if (ends.stopping.aborted) return failed(stoppedReason.message);
    const error = errorFromConnect(thrown);
    parts.logger.error({ buildId, err: error }, 'build was interrupted');
    // The build is over. To retry the request, as the error says, would not help.
    return failed(error.reason === 'runner_unavailable' ? runnerLostMessage : errorForCaller(error).message);
  }
}

const waitingMessage = 'Waiting for other builds of this host to end.';

/** The runner's reason when an archive, or something else that was saved, is damaged. */
const damagedReason = 'state_damaged';

async function followOnce(
  parts: BuilderParts,
  job: BuildJob,
  log: LogWriter,
  signal: AbortSignal,
): Promise<BuildOutcome | 'full'> {
  const { runner, logger, clock } = parts;
  const { buildId, request } = job;
  const startedAt = clock.now();
  for await (const { event } of runner.runBuild(request, { signal })) {
    if (event.case === 'log') await log.write({ ...event.value, atMs: msFromTimestamp(event.value.timestamp) });
    else if (event.case === 'done')
      return { kind: 'done', made: madeFrom(event.value), cachedSteps: event.value.cachedSteps };
    else if (event.case === 'failed') {
      const { reason, message, step } = event.value;
      if (reason === fullReason) return 'full';
      if (reason === damagedReason) await dropDamagedFile(parts, job, { step, startedAt });
      if (reason === 'internal') logger.error({ buildId, step }, 'runner failed to build');
      return failed(message, stepFrom(step));
    }
  }
  throw new SoulBoxError('runner_unavailable', 'The runner ended the build without a result.');
}

const runnerLostMessage = 'The runner stopped during this build. Build it again: finished steps are cached.';

/** For builds that a stop or a crash of the server interrupted. */
export const stoppedReason: BuildReason = {
  message: 'The server stopped during this build. Build it again: finished steps are cached.',
  step: '',
};

const failed = (message: string, step = ''): BuildOutcome => ({ kind: 'failed', reason: { message, step } });

function madeFrom({ snapshot, envdVersion }: RunBuildResponse_Done) {
  if (snapshot === undefined) throw new SoulBoxError('internal', 'The runner returned no snapshot.');
  const { cpuCount, memoryMb, diskSizeMb } = snapshot;
  return { cpuCount, memoryMb, diskSizeMb, envdVersion };
}

const stepForm = /^(base|finalize|[1-9]\d{0,4})$/;
const stepFrom = (text: string): string => (stepForm.test(text) ? text : '');

interface LogLine {
  readonly atMs: number;
  readonly level: string;
  readonly step: string;
  readonly message: string;
}

interface LogWriter {
  write(line: LogLine): Promise<void>;
}

/**
 * Parts of the entries come from the sandbox: unknown levels and steps are dropped, and the size of the log is limited.
 */
function createLogWriter({ records }: BuilderParts, buildId: string): LogWriter {
  let entriesLeft = buildLogEntriesMax;
  let bytesLeft = buildLogBytesMax;
  return {
    async write(line) {
      if (entriesLeft <= 0) return;
      const log = logFrom(line);
      entriesLeft -= 1;
      bytesLeft -= log.message.length;
      const isFull = entriesLeft <= 0 || bytesLeft <= 0;
      if (isFull) entriesLeft = 0;
      const message = 'The log of this build is full. Further lines are discarded.';
      await records.builds.appendLogs(buildId, [isFull ? { ...log, level: 'warn', message } : log]);
    },
  };
}

function logFrom({ atMs, level, step, message }: LogLine): BuildLog {
  const short = message.length > buildLogMessageMax ? `${message.slice(0, buildLogMessageMax)}…` : message;
  return {
    at: atMs,
    level: buildLogLevels.find((known) => known === level) ?? 'info',
    step: stepFrom(step),
    message: short.toWellFormed(),
  };
}
