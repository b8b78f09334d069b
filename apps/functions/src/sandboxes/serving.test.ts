import type { FunctionRecord } from '@soulbox/storage';
import { expect, test } from 'vitest';
import type { FunctionsContext } from '../context.ts';
import { createServingSandboxes } from './serving.ts';
import type { ServingSandboxes } from './serving.ts';

const record = (sandboxId: string): FunctionRecord => ({ name: 'f', sandboxId }) as FunctionRecord;

async function makeServing(): Promise<ServingSandboxes> {
  const context = {
    router: { find: () => ({ state: 'running' }) },
    links: { has: () => true, open: () => Promise.resolve(true) },
  } as unknown as FunctionsContext;
  const serving = createServingSandboxes(() => context);
  await serving.use(record('old'), 'old');
  return serving;
}

/** Milliseconds. */
async function durationOf(work: Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return performance.now() - startedAt;
}

test.each([
  ['deploy', (serving: ServingSandboxes) => serving.use(record('new'), 'new')],
  ['removal', (serving: ServingSandboxes) => serving.forget('f')],
])('a %s ends after the last lease, in which requests may still go to the sandbox of before', async (_what, change) => {
  const serving = await makeServing();
  const askedAt = performance.now();
  const { sandboxId, leaseMs } = await serving.open('f');
  expect([sandboxId, leaseMs]).toEqual(['old', 100]);
  await change(serving);
  expect(performance.now() - askedAt).toBeGreaterThanOrEqual(leaseMs);
});

test('a function that nobody calls is changed at once', async () => {
  const serving = await makeServing();
  expect(await durationOf(serving.use(record('new'), 'new'))).toBeLessThan(50);
});

test('a sandbox in doubt is not leased', async () => {
  const serving = await makeServing();
  await serving.open('f');
  serving.suspect('old');
  await expect(serving.open('f')).rejects.toThrow();
});
