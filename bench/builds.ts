import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId, removeTree } from '@soulbox/base';
import { startRunnerProcess, testDirectory } from '@soulbox/testing';
import type { Lab } from './lab.ts';

/** Template builds on a runner without a control plane, which would add two requests and a poll every 200 ms. */
export interface Builds extends AsyncDisposable {
  /** The duration of a build in ms; `request` is RunBuildRequest in JSON form. Throws if the build fails. */
  time(request: object): Promise<number>;
}

/**
 * Starts the runner with an empty cache. It must be ended before the next one starts, and ends with the lab at the
 * latest.
 */
export async function startBuilds(lab: Lab, settings: Readonly<Record<string, string>> = {}): Promise<Builds> {
  const directory = await mkdtemp(join(testDirectory, 'bench-build-'));
  const environment = { SOULBOX_ISOLATION: lab.isolation, ...settings };
  const runner = await startRunnerProcess(lab.buildInstance, directory, { environment });
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await runner.stop();
    await removeTree(directory);
  };
  const builds: Builds = {
    [Symbol.asyncDispose]: async () => await (stopped ??= stop()),
    async time(request) {
      const own = { buildId: randomId(20), teamId: 't', templateId: 'bench', cpuCount: 2, memoryMb: 1024 };
      const startedAt = performance.now();
      const { events } = await runner.call('runBuild', { ...own, ...request });
      const took = performance.now() - startedAt;
      const last = (events as { failed?: unknown }[]).at(-1);
      if (last === undefined || 'failed' in last) throw new Error(`build failed: ${JSON.stringify(last)}`);
      return took;
    },
  };
  lab.use(builds);
  return builds;
}
