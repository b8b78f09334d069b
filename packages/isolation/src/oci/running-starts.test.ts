import { expect, test } from 'vitest';
import { createRunningStarts } from './running-starts.ts';

test('a canceled start has cleaned up before the caller continues', async () => {
  const starts = createRunningStarts();
  const steps: string[] = [];
  const started = starts.run('one', async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await Promise.resolve().then(() => steps.push('cleaned'));
    signal.throwIfAborted();
  });
  const failed = expect(started).rejects.toThrow('removed while it was starting');
  await starts.cancel('one');
  steps.push('canceled');
  await failed;
  expect(steps).toEqual(['cleaned', 'canceled']);
});

test('canceling does nothing if no start is in progress, or it has ended', async () => {
  const starts = createRunningStarts();
  expect(await starts.run('one', () => Promise.resolve('started'))).toBe('started');
  await starts.cancel('one');
  await starts.cancel('other');
});
