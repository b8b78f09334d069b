import { SoulBoxError, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test } from 'vitest';
import type { BuildSpec } from './build-spec.ts';
import type { BuildContext } from './builds.ts';
import { runBuild } from './run-build.ts';

/** The log levels for a build that fails to start with `error`. */
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

test('a build that waits for others is not logged as failed, however often it is requested', async () => {
  expect(await levelsOf(new SoulBoxError('too_many_builds', 'This host runs its limit.'))).toEqual(['debug']);
});

test('a build that failed is logged as failed', async () => {
  expect(await levelsOf(new SoulBoxError('build_failed', 'it exited with 7'))).toEqual(['info']);
  expect(await levelsOf(new Error('a fault'))).toEqual(['error']);
});
