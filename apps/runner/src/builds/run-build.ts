import { errorFromUnknown, measureOperation, noteCacheUse, phase, SoulBoxError } from '@soulbox/base';
import type { OperationTimes } from '@soulbox/base';
import { errorForCaller } from '@soulbox/contract';
import type { SnapshotRecord } from '../registry/snapshot-store.ts';
import { checkLayers } from '../processes/check-memory.ts';
import { createBuildLog } from './build-log.ts';
import type { BuildLog } from './build-log.ts';
import type { BuildLogEntry } from './build-log.ts';
import type { BuildSpec } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import { baseKey, stepKey } from './cache/step-key.ts';
import { findBase } from './find-base.ts';
import type { Base } from './find-base.ts';
import { finishBuild } from './finish-build.ts';
import { parseStep } from './steps/parse-step.ts';
import type { Step } from './steps/step.ts';
import { openStepRunner } from './step-runner.ts';

export type BuildOutcome =
  | { readonly kind: 'done'; readonly snapshot: SnapshotRecord; readonly cachedSteps: number }
  | {
      readonly kind: 'failed';
      readonly error: SoulBoxError;
      /** As in a log entry. */
      readonly step: string;
    };

/**
 * Runs a template build in sandboxes of its own and keeps the result as the snapshot of the build's id. Every step
 * becomes a layer, which the layer cache keeps for the next build (docs/decisions/014). An abort of `signal` ends the
 * build at once. Never throws: a failure is the outcome, and only cached steps are left then.
 */
export async function runBuild(
  context: BuildContext,
  spec: BuildSpec,
  onEntry: (entry: BuildLogEntry) => void,
  signal: AbortSignal,
): Promise<BuildOutcome> {
  const { host, clock, builds } = context;
  const { buildId, templateId, teamId } = spec;
  const progress = { step: 'base' };
  const log = createBuildLog(onEntry, clock);
  let why: AbortSignal = signal;
  try {
    return await measureOperation('build', async (finish) => {
      const done = await builds.run(async (limits) => {
        why = AbortSignal.any([signal, limits]);
        return await build(context, spec, { log, progress, signal: why });
      });
      const { cachedSteps } = done;
      const times = finish();
      host.logger.info({ buildId, templateId, teamId, cachedSteps, ...times }, 'template built');
      log.write('finalize', 'info', describeTimes(times));
      return { kind: 'done', ...done };
    });
  } catch (thrown) {
    const error = why.aborted ? explainAbort(signal, why) : errorFromUnknown(thrown);
    const { step } = progress;
    // The control plane asks again every second until there is room.
    if (error.reason === 'too_many_builds')
      host.logger.debug({ buildId, templateId, teamId }, 'a build is waiting for others');
    else if (error.code === 'internal') host.logger.error({ buildId, step, err: thrown }, 'template build failed');
    // The message is not logged: it repeats commands of the build's author, which may contain secrets.
    else host.logger.info({ buildId, templateId, teamId, step, reason: error.reason }, 'template not built');
    return { kind: 'failed', error: errorForCaller(error), step };
  }
}

function describeTimes({ durationMs, phases }: OperationTimes): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const parts = Object.entries(phases).map(([name, ms]) => `${name} ${seconds(ms)}`);
  return `Took ${seconds(durationMs)}: ${parts.join(', ')}`;
}

interface Course {
  readonly log: BuildLog;
  /** The current step. */
  readonly progress: { step: string };
  readonly signal: AbortSignal;
}

async function build(
  context: BuildContext,
  asked: BuildSpec,
  { log, progress, signal }: Course,
): Promise<{ snapshot: SnapshotRecord; cachedSteps: number }> {
  context.snapshots.checkFree(asked.buildId);
  const steps = parseSteps(asked, progress);
  progress.step = 'base';
  const layersOfBase: string[] = [];
  using _early = context.references.hold({ layers: layersOfBase });
  const hold = (layers: readonly string[]): void => void layersOfBase.push(...layers);
  const base = await phase('base', async () => await findBase(context, asked.base, { log, signal, hold }));
  const spec = withStartOf(base, asked);
  using _hold = context.builds.holdTemplate(base.template.templateId);
  await checkLayers(context.host, base.layers);
  const isolation = spec.isolation === '' ? (base.isolation ?? context.host.config.isolation) : spec.isolation;
  await using stepRunner = openStepRunner(context, { spec, base, isolation, log, signal });
  const { template, layers } = base;
  let key = baseKey({ teamId: spec.teamId, templateId: template.templateId, layers, isolation, ...base.context });
  const keys: string[] = [];
  let cachedSteps = 0;
  let isForced = spec.force;
  for (const [index, step] of steps.entries()) {
    signal.throwIfAborted();
    progress.step = String(index + 1);
    key = stepKey(key, step);
    keys.push(key);
    isForced ||= step.force;
    const isCached = !isForced && (await stepRunner.takeCached(key));
    if (!isForced) noteCacheUse('build_step', isCached);
    if (isCached) cachedSteps += 1;
    log.write(progress.step, 'info', `${isCached ? 'CACHED ' : ''}${describe(step)}`);
    if (!isCached) await phase('steps', async () => await stepRunner.perform(key, step, progress.step));
  }
  progress.step = 'finalize';
  const finishing = { spec, base, isolation, log, signal, key, isForced, stepRunner };
  const snapshot = await phase('finish', async () => await finishBuild(context, finishing));
  await context.builds.cache.touch(keys);
  return { snapshot, cachedSteps };
}

/** A build inherits the start command of its base unless it has one of its own. */
function withStartOf({ startCommand, readyCommand }: Base, spec: BuildSpec): BuildSpec {
  return spec.startCommand === '' && spec.readyCommand === '' ? { ...spec, startCommand, readyCommand } : spec;
}

/** Parses all steps before the first one runs, so that an error is reported at once. */
function parseSteps(spec: BuildSpec, progress: { step: string }): Step[] {
  return spec.steps.map((step, index) => {
    progress.step = String(index + 1);
    return parseStep(step);
  });
}

const quotedLength = 500;

/** Variables may be secrets, so of ENV only the names are logged. */
function describe({ type, args }: Step): string {
  const quoted = type === 'ENV' ? args.filter((_, index) => index % 2 === 0) : args.filter((arg) => arg !== '');
  return `${type} ${quoted.join(' ')}`.slice(0, quotedLength);
}

/** `signal` is the caller's. `all` combines it with the signals of the server and of the time limit. */
function explainAbort(signal: AbortSignal, all: AbortSignal): SoulBoxError {
  if (signal.aborted) return new SoulBoxError('build_canceled', 'The build was canceled.');
  const isTime = all.reason instanceof DOMException && all.reason.name === 'TimeoutError';
  if (isTime)
    return new SoulBoxError('build_timeout', 'The build took longer than SOULBOX_BUILD_TIMEOUT_MINUTES allows.');
  return new SoulBoxError('shutting_down', 'The server is stopping. The finished steps are cached for the next build.');
}
