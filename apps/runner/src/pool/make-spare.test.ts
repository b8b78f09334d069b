import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { makeSnapshot } from '../operations/copies/snapshot.ts';
import { createFromSnapshot } from '../operations/create.ts';
import type { CreateContext, CreateRequest } from '../operations/create.ts';
import { endSandbox } from '../operations/end.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { RunningSandbox } from '../registry/table.ts';
import { isSpare } from '../registry/table.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { createSpareMaker } from './make-spare.ts';
import { createPool } from './pool.ts';
import type { Pool } from './pool.ts';

const closed = { allowInternetAccess: false, allowOut: [], denyOut: [], maskRequestHost: '' };
const request: CreateRequest = {
  ...{
    teamId: 'owner',
    keyId: '',
    creationId: '',
    alias: '',
    metadata: {},
    volumes: [],
    envVars: { OWN: '1' },
    network: closed,
    secure: true,
    logOutput: false,
  },
  lifecycle: { ...plainLifecycle, timeoutSeconds: 60 },
};

let bench: OperationBench;
let context: CreateContext & { readonly pool: Pool };
beforeEach(async () => {
  bench = await createOperationBench();
  const source = await bench.addRunning({ envdAccessToken: 'a'.repeat(64) });
  await makeSnapshot(bench.context, source.record.sandboxId, 's');
  const pool = createPool({
    ...{ size: 1, maxByUse: 1, memoryLimitBytes: 2 ** 30, bootConcurrency: 1, idleMs: 60_000 },
    ...{ clock: systemClock, logger: silentLogger },
    ...createSpareMaker(bench.context, openDiskReserve('/nonexistent')),
    discard: async ({ record }) => {
      await endSandbox(bench.context, record.sandboxId, 'killed');
    },
  });
  context = { ...bench.context, pool };
});
afterEach(async () => {
  await context.pool.close();
  await bench[Symbol.asyncDispose]();
});

const create = (): Promise<RunningSandbox> => createFromSnapshot(context, 's', request);

/** Two uses, after which there is a spare. */
async function withSpare(): Promise<string> {
  await create();
  await create();
  await expect.poll(() => context.pool.readyCount()).toBe(1);
  const spares = bench.context.table.all().filter(isSpare);
  expect(spares).toHaveLength(1);
  return spares[0]?.record.sandboxId ?? '';
}

describe('a spare of a snapshot', () => {
  it('is frozen, has no tenant, no identity in its envd, and no network', async () => {
    const sandboxId = await withSpare();
    const { record } = bench.context.table.find(sandboxId) ?? {};
    expect(bench.driver.stateOf(sandboxId)).toBe('frozen');
    expect(record?.tenant).toBeUndefined();
    expect(bench.network.plugged.has(record?.slot ?? 0)).toBe(false);
    const told = (await bench.envd.requests()).filter(({ hostToken }) => hostToken === record?.hostToken);
    expect(new Set(told.map(({ path }) => path))).toEqual(new Set(['/rehearse-resumed']));
    expect(() => bench.context.table.getTenants(sandboxId)).toThrow('not found');
  });

  it('is used by the next create, and gets the policy of its tenant before it is thawed', async () => {
    const sandboxId = await withSpare();
    const plug = bench.network.plug.bind(bench.network);
    const order: unknown[] = [];
    bench.network.plug = async (slot) => {
      order.push(bench.network.policies.get(slot), bench.driver.stateOf(sandboxId));
      await plug(slot);
    };
    const { record } = await create();
    expect(record.sandboxId).toBe(sandboxId);
    expect(order).toMatchObject([{ ...closed, sandboxId, teamId: 'owner' }, 'frozen']);
    expect(bench.driver.stateOf(sandboxId)).toBe('running');
    expect(record).toMatchObject({ state: 'running', disk: 'kept', tenant: { teamId: 'owner', network: closed } });
    const told = (await bench.envd.requests()).filter(({ hostToken }) => hostToken === record.hostToken);
    expect(told.filter(({ path }) => path !== '/rehearse-resumed')).toMatchObject([
      {
        path: '/resumed',
        body: {
          ...{ sandboxId, isCopy: true, envVars: { OWN: '1' }, accessToken: record.tenant.envdAccessToken },
          logOutput: false,
        },
      },
    ]);
    expect(record.tenant.envdAccessToken).not.toBe('a'.repeat(64));
  });

  it.each(['thaw', 'plug'])('is removed without an announcement if %s fails', async (call) => {
    const sandboxId = await withSpare();
    if (call === 'thaw') bench.driver.failNext('thaw', new Error('does not go on'));
    else bench.network.plug = () => Promise.reject(new Error('no link'));
    await expect(create()).rejects.toThrow();
    expect(bench.driver.stateOf(sandboxId)).toBe('none');
    expect(bench.context.table.find(sandboxId)).toBeUndefined();
    expect(bench.events.filter(({ kind }) => kind === 'created')).toHaveLength(2);
  });

  it.each([404, 500])(
    'is used too if its envd answers the rehearsal with %s, as one of an older version does',
    async (status) => {
      await bench.envd.answer('/rehearse-resumed', status);
      const sandboxId = await withSpare();
      expect((await create()).record.sandboxId).toBe(sandboxId);
    },
  );

  it('is removed after its snapshot was deleted', async () => {
    const sandboxId = await withSpare();
    await bench.context.snapshots.remove('s');
    await context.pool.sweep(bench.nowMs, ({ kind }) => kind === 'snapshot');
    expect(bench.driver.stateOf(sandboxId)).toBe('none');
    await expect(create()).rejects.toMatchObject({ reason: 'snapshot_not_found' });
  });

  it('that cannot be frozen is removed', async () => {
    await create();
    bench.driver.failNext('freeze', new Error('does not stop'));
    const second = await create();
    await expect
      .poll(() => bench.context.table.all().filter(({ record }) => record.tenant?.teamId !== 'owner').length)
      .toBe(1);
    expect([second.record.state, context.pool.readyCount()]).toEqual(['running', 0]);
  });
});
