import { SoulBoxError } from '@soulbox/base';
import { callRunner } from '../runner/call.ts';
import { followBuild } from './follow.ts';
import type { BuilderParts, BuildJob } from './follow.ts';
import { runnerIdOf } from '../names/build-id.ts';

/** Owns the builds that the runner is at. Their records say `building` from before they begin until after they end. */
export interface Builder extends AsyncDisposable {
  /** Has the runner build. Neither throws nor waits for the end, which goes into the records. */
  begin(job: BuildJob): void;
  /** Stops a build whose record has its outcome already, or is gone. */
  cancel(buildId: string): void;
  /**
   * Has the runner forget what a build made, unless a tag points at it or a build under way begins from it. Never throws: what
   * fails now is done when records and runner are next compared.
   */
  forget(buildId: string): Promise<void>;
  /** Whether it is under way, or a build under way begins from it. */
  needs(buildId: string): boolean;
}

/** Once `stopping` is aborted, what is under way fails: the next build finds its finished steps in the layer cache. */
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

  /** Gives the builds that nothing points at any more. */
  const settle = async (job: BuildJob, cancelled: AbortSignal): Promise<readonly string[]> => {
    const { buildId } = job;
    const outcome = await followBuild(parts, job, { cancelled, stopping });
    const now = parts.clock.now();
    if (outcome.kind === 'failed') {
      await records.builds.fail(buildId, outcome.reason, now);
      logger.info({ buildId, step: outcome.reason.step }, 'build failed');
      return [buildId];
    }
    const left = await records.builds.complete(buildId, { ...outcome.made, finishedAt: now });
    logger.info({ buildId, cachedSteps: outcome.cachedSteps, kept: left !== undefined }, 'build finished');
    // Cancelled or deleted at the last moment: nobody wants what it made.
    return left ?? [buildId];
  };

  const run = async (job: BuildJob, cancelled: AbortSignal): Promise<void> => {
    let left: readonly string[] = [];
    try {
      left = await settle(job, cancelled);
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
      // Begun in a microtask, so that `underway` has it first.
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
