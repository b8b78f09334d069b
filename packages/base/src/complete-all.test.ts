import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { completeAll } from './complete-all.ts';

test('a failed step is reported after the others have ended', async () => {
  const ended: string[] = [];
  const slow = sleep(20).then(() => ended.push('slow'));
  const failed = Promise.reject(new Error('the first'));
  const alsoFailed = sleep(5).then(() => Promise.reject(new Error('the second')));
  await expect(completeAll([slow, failed, alsoFailed])).rejects.toThrow('the first');
  expect(ended).toEqual(['slow']);
  await expect(completeAll([Promise.resolve()])).resolves.toBeUndefined();
});
