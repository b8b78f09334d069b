import { silentLogger, SoulBoxError, systemClock } from '@soulbox/base';
import { expect, test } from 'vitest';
import type { BuildSpec } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import { runBuild } from './run-build.ts';

/** The levels at which a build is logged that `error` keeps from running. */
async function levelsOf(error: Error): Promise<string[]> {
  const levels: string[] = [];
  const note = (level: string) => () => void levels.push(level);
  const logger = {
    ...silentLogger,
    debug: note('debug'),
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
  };
  const context = { host: { logger }, clock: systemClock, builds: { run: () => Promise.reject(error) } };
  const spec = { buildId: 'b', templateId: 't', teamId: 'team' } as BuildSpec;
  const never = new AbortController().signal;
  const outcome = await runBuild(context as unknown as BuildContext, spec, () => undefined, never);
  expect(outcome.kind).toBe('failed');
  return levels;
}

test('a build that waits for others is not told as one that failed, however often it is asked for', async () => {
  expect(await levelsOf(new SoulBoxError('too_many_builds', 'This host runs its limit.'))).toEqual(['debug']);
});

test('one that failed is', async () => {
  expect(await levelsOf(new SoulBoxError('build_failed', 'it exited with 7'))).toEqual(['info']);
  expect(await levelsOf(new Error('a fault'))).toEqual(['error']);
});
