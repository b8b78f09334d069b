import { beforeEach, expect, it } from 'vitest';
import type { TenantSandbox } from '../registry/table.ts';
import { createOnceOnly, madeBy } from './create-once.ts';

let present: TenantSandbox[];
let made: number;
let onceOnly: ReturnType<typeof createOnceOnly<TenantSandbox>>;
beforeEach(() => {
  present = [];
  made = 0;
  onceOnly = createOnceOnly((wanted) => madeBy(present, wanted)?.[0]);
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

it('a call during the first one waits for all that it makes', async () => {
  const released = Promise.withResolvers<undefined>();
  const all = createOnceOnly((wanted) => madeBy(present, wanted));
  const wanted = { teamId: 't', creationId: 'c' };
  const first = all(wanted, async () => {
    present.push(sandbox('t', 'c'));
    await released.promise;
    present.push(sandbox('t', 'c'));
    return madeBy(present, wanted) ?? [sandbox('t', 'none')];
  });
  const second = all(wanted, () => Promise.reject(new Error('made twice')));
  released.resolve(undefined);
  expect([await first, await second, await all(wanted, () => first)].map(({ length }) => length)).toEqual([2, 2, 2]);
});
