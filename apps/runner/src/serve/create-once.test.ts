import { beforeEach, expect, it } from 'vitest';
import type { TenantSandbox } from '../registry/table.ts';
import { createOnceOnly } from './create-once.ts';

let present: TenantSandbox[];
let made: number;
let onceOnly: ReturnType<typeof createOnceOnly>;
beforeEach(() => {
  present = [];
  made = 0;
  onceOnly = createOnceOnly(() => present);
});

const sandbox = (teamId: string, creationId: string): TenantSandbox =>
  ({ record: { tenant: { teamId, creationId } } }) as TenantSandbox;
const create = async (teamId: string, creationId: string): Promise<TenantSandbox> =>
  await onceOnly({ teamId, creationId }, async () => {
    made += 1;
    await Promise.resolve();
    const one = sandbox(teamId, creationId);
    present.push(one);
    return one;
  });

it('calls with the same id at once, and later, get the same sandbox', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, async () => await create('t', 'c')));
  expect(new Set([...all, await create('t', 'c')]).size).toBe(1);
  expect(made).toBe(1);
});

it('calls without an id, with another one, or of another team get their own', async () => {
  for (const [team, id] of [
    ['t', ''],
    ['t', ''],
    ['t', 'c'],
    ['t', 'd'],
    ['u', 'c'],
  ] as const)
    await create(team, id);
  expect(made).toBe(5);
});

it('after a failure, and after the end of the sandbox, another one is made', async () => {
  const broken = onceOnly({ teamId: 't', creationId: 'c' }, async () => await Promise.reject(new Error('no')));
  await expect(broken).rejects.toThrow('no');
  await create('t', 'c');
  present = [];
  await create('t', 'c');
  expect(made).toBe(2);
});
