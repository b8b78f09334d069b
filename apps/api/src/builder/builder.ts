import { SoulBoxError } from '@soulbox/base';
import { callRunner } from '../runner/call.ts';
import { followBuild } from './follow.ts';
import type { BuilderParts, BuildJob } from './follow.ts';
import { runnerIdOf } from '../names/build-id.ts';

/**
 * Owns the builds that the runner is working on. Their records say `building` from before the start until after the
 * end.
 */
export interface Builder extends AsyncDisposable {
  /** Starts the build in the runner. Does not throw and does not wait for the end, which is written to the records. */
  begin(job: BuildJob): void;
  /** Stops a build whose record already has its outcome or has been deleted. */
  cancel(buildId: string): void;
  /**
   * Deletes the result of a build from the runner, unless a tag points at it or a running build is based on it. Never
   * throws: after a failure, the next comparison of records and runner deletes it.
   */
  forget(buildId: string): Promise<void>;
  /** Whether it is running, or a running build is based on it. */
  needs(buildId: string): boolean;
}

/** When `stopping` is aborted, running builds fail. The next build finds their finished steps in the layer cache. */
export function createBuilder(parts: BuilderParts, stopping: AbortSignal): Builder {
  const { records, runner, logger } = parts;
  const underway = new Map<string, { job: BuildJob; cancel: AbortController; ended: Promise<void> }>();

  const needs = (buildId: string): boolean =>
    underway.has(buildId) || [...underway.values()].some(({ job }) => job.baseBuildId === buildId);

  const forget = async (buildId: string): Promise<void> => {
    try {
      if (needs(buildId) || (await records.builds.isTagged(buildId))) return;
      await callRunner((options) => runner.deleteSnapshot({ snapshotId: runnerIdOf(buildId) }, options));
    } catch (thrown) {
      logger.warn({ buildId, err: thrown }, 'snapshot of a build could not be deleted yet');
    }
  };

  /** Returns the builds that nothing references any more. */
  const settle = async (job: BuildJob, canceled: AbortSignal): Promise<readonly string[]> => {
    const { buildId } = job;
    const outcome = await followBuild(parts, job, { canceled, stopping });
    const now = parts.clock.now();
    if (outcome.kind === 'failed') {
      await records.builds.fail(buildId, outcome.reason, now);
      logger.info({ buildId, step: outcome.reason.step }, 'build failed');
      return [buildId];
    }
    const left = await records.builds.complete(buildId, { ...outcome.made, finishedAt: now });
    logger.info({ buildId, cachedSteps: outcome.cachedSteps, kept: left !== undefined }, 'build finished');
    // Canceled or deleted at the last moment: the result is not needed.
    return left ?? [buildId];
  };

  const run = async (job: BuildJob, canceled: AbortSignal): Promise<void> => {
    let left: readonly string[] = [];
    try {
      left = await settle(job, canceled);
    } catch (thrown) {
      logger.error({ buildId: job.buildId, err: thrown }, 'result of a build could not be recorded');
    }
    underway.delete(job.buildId);
    for (const buildId of left) await forget(buildId);
    if (job.baseBuildId !== undefined) await forget(job.baseBuildId);
  };

  return {
    begin(job) {
      if (underway.has(job.buildId)) throw new SoulBoxError('internal', `Build "${job.buildId}" is already running.`);
      const cancel = new AbortController();
      // Started in a microtask, so that `underway` contains it first.
      const ended = Promise.resolve().then(() => run(job, cancel.signal));
      underway.set(job.buildId, { job, cancel, ended });
    },
    cancel: (buildId) => underway.get(buildId)?.cancel.abort(),
    forget,
    needs,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...underway.values()].map(({ ended }) => ended));
    },
  };
}
