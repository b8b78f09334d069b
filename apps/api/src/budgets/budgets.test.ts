import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

const hourMs = 3600 * 1000;
/** 01:00 UTC of today, because the scripted runner has the clock of the host. */
const morning = Math.floor(Date.now() / (24 * hourMs)) * 24 * hourMs + hourMs;
const midnight = morning + 23 * hourMs;
let api: TestApi;
let now: number;
const start = async (config: Partial<ApiConfig> = {}): Promise<void> => {
  api = await startTestApi({
    config: { maxTimeoutHours: 24 * 365, budgetIntervalMs: 100, ...config },
    clock: { now: () => now },
  });
};
beforeEach(() => {
  now = morning;
});
afterEach(() => api[Symbol.asyncDispose]());

const mib = 2 ** 20;
const body = { templateID: 'base', timeout: 30 * 24 * 3600 };
const create = async (key?: string): Promise<Answer> =>
  await api.ask('POST', '/v2/sandboxes', { body, ...(key === undefined ? {} : { key }) });
const createId = async (key?: string): Promise<string> => ((await create(key)).json as { sandboxID: string }).sandboxID;
const stateOf = async (id: string): Promise<string | undefined> => (await api.records.sandboxes.find(id))?.state;
const keyIdOf = async (id: string): Promise<string> => (await api.records.sandboxes.find(id))?.createdBy ?? '';

/** Sets what the runner has counted for a sandbox. */
async function use(id: string, cpuUsedSeconds: number, networkSentBytes = 0, hasEnded = false): Promise<void> {
  const record = await api.records.sandboxes.find(id);
  const owner = { teamId: record?.teamId ?? '', keyId: record?.createdBy ?? '' };
  api.runner.used.counters.set(id, { ...owner, cpuUsedSeconds, networkSentBytes, hasEnded });
}
const usage = async (name: string): Promise<{ used: number; limit: number | null } | undefined> =>
  ((await api.ask('GET', `/teams/${api.teamId}/usage`)).json as Record<string, { used: number; limit: number | null }>)[
    name
  ];
const resume = async (id: string): Promise<Answer> =>
  await api.ask('POST', `/v2/sandboxes/${id}/connect`, { body: { timeout: 9000 } });

function expectSpent(answer: Answer, text: string, retryAfter: number): void {
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, String(retryAfter)]);
  expect((answer.json as { message: string }).message).toContain(text);
}

describe('the budget of a team', () => {
  it('of CPU time stops its sandboxes and its creates until the next day, and no other team', async () => {
    await start({ teamCpuSecondsPerDay: 100 });
    const [ours, theirs] = [await createId(), await createId(api.otherKey)];
    await use(ours, 99);
    await use(theirs, 99);
    await until(async () => (await usage('cpu_seconds_today'))?.used === 99);
    expect([await stateOf(ours), (await create()).status]).toEqual(['running', 201]);
    await use(ours, 101);
    await until(async () => (await stateOf(ours)) === 'paused');
    expectSpent(await create(), '101 of 100 seconds of CPU time today', 23 * 3600);
    expectSpent(await resume(ours), 'cpu_seconds_per_day', 23 * 3600);
    expectSpent(await api.ask('POST', `/sandboxes/${ours}/fork`, { body: {} }), 'soulbox team limits', 23 * 3600);
    expect([await stateOf(theirs), (await create(api.otherKey)).status]).toEqual(['running', 201]);
    expect(await usage('cpu_seconds_today')).toEqual({ used: 101, limit: 100 });
    now = midnight;
    expect((await resume(ours)).status).toBe(201);
    expect((await usage('cpu_seconds_today'))?.used).toBe(0);
  });

  it('tells the runner, so that traffic does not wake a sandbox, and takes that back on the next day', async () => {
    await start({ teamCpuSecondsPerDay: 100 });
    const id = await createId();
    await use(id, 100);
    await until(() => api.runner.used.holds.length === 1);
    expect(api.runner.used.holds[0]).toMatchObject({ teamId: api.teamId, keyId: '' });
    now = midnight;
    await until(() => api.runner.used.holds.length === 0);
  });

  it('leaves an event with its cause, a line in the log and records in the audit log', async () => {
    await start({ teamCpuSecondsPerDay: 1 });
    const id = await createId();
    await use(id, 2);
    await until(async () => (await stateOf(id)) === 'paused');
    const events = await api.ask('GET', `/events/sandboxes/${id}`);
    expect(events.text).toContain('"cause":"budget"');
    await until(async () => (await api.readLog()).includes('sandbox stopped: budget spent'));
    const audit = async (): Promise<string> => (await api.ask('GET', '/audit/records')).text;
    await until(async () => (await audit()).split('"budgets"').length > 2);
    expect(await audit()).toContain('sandbox.pause');
  });

  it('kills the sandboxes if the server is set so', async () => {
    await start({ teamCpuSecondsPerDay: 1, budgetAction: 'kill' });
    const id = await createId();
    await use(id, 2);
    await until(async () => (await stateOf(id)) === 'ended');
    expect(await api.records.sandboxes.find(id)).toMatchObject({ cause: 'budget' });
  });

  it('of sent bytes stops them too', async () => {
    await start({ teamEgressMbPerDay: 10 });
    const id = await createId();
    await use(id, 5, 10 * mib);
    await until(async () => (await stateOf(id)) === 'paused');
    expectSpent(await create(), '10 of 10 MiB sent', 23 * 3600);
    expect(await usage('egress_bytes_today')).toEqual({ used: 10 * mib, limit: 10 * mib });
  });

  it('that is raised applies at once; one that is lowered stops what runs', async () => {
    await start({ teamCpuSecondsPerDay: 100 });
    const id = await createId();
    await use(id, 150);
    await until(async () => (await stateOf(id)) === 'paused');
    await api.records.quotas.setLimits(api.teamId, { cpu_seconds_per_day: 200 });
    expect((await create()).status).toBe(201);
    expect((await resume(id)).status).toBe(201);
    await api.records.quotas.setLimits(api.teamId, { cpu_seconds_per_day: 0 });
    expect((await create()).status).toBe(429);
    await until(async () => (await stateOf(id)) === 'paused');
  });

  it('remembers what was used over a restart of the server, and counts nothing twice', async () => {
    await start({ teamCpuSecondsPerDay: 1000 });
    const id = await createId();
    await use(id, 60);
    await until(async () => (await usage('cpu_seconds_today'))?.used === 60);
    await api.restart();
    await use(id, 61);
    await until(async () => (await usage('cpu_seconds_today'))?.used === 61);
    // Another runner counts from 0.
    api.runner.used.epoch = 'second';
    await use(id, 4);
    await until(async () => (await usage('cpu_seconds_today'))?.used === 65);
  });

  it('counts a sandbox that has ended, once, and lets the runner forget it', async () => {
    await start({ teamCpuSecondsPerDay: 1000 });
    const id = await createId();
    await use(id, 60, 0, true);
    await until(() => !api.runner.used.counters.has(id));
    expect((await usage('cpu_seconds_today'))?.used).toBe(60);
  });

  it('goes on after a time without a runner', async () => {
    await start({ teamCpuSecondsPerDay: 100 });
    const id = await createId();
    api.runner.failure = new Error('away');
    await until(async () => (await api.readLog()).includes('usage of sandboxes could not be counted'));
    api.runner.failure = undefined;
    await use(id, 100);
    await until(async () => (await stateOf(id)) === 'paused');
  });

  it('tries again later when a sandbox cannot be paused, which is in the log', async () => {
    await start({ teamCpuSecondsPerDay: 100 });
    const id = await createId();
    let isBroken = true;
    api.runner.beforeStep = async () => {
      await Promise.resolve();
      if (isBroken) throw new Error('no room for its memory');
    };
    await use(id, 100);
    await until(async () => (await api.readLog()).includes('could not be stopped; it continues to run'));
    expect(await stateOf(id)).toBe('running');
    isBroken = false;
    now += 31_000;
    await until(async () => (await stateOf(id)) === 'paused');
  });
});

describe('the budget of an API key', () => {
  const setBudgets = async (keyId: string, budgets: object[], key?: string): Promise<Answer> =>
    await api.ask('PUT', `/api-keys/${keyId}/budgets`, { body: { budgets }, ...(key === undefined ? {} : { key }) });
  const secondKey = async (): Promise<{ id: string; key: string }> => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'limited');
    return { id: record.id, key: key.reveal() };
  };

  it('stops the sandboxes that this key has created, and its creates, but not those of other keys', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    const [own, other] = [await createId(key), await createId()];
    expect([await keyIdOf(own), (await keyIdOf(other)) === keyId]).toEqual([keyId, false]);
    expect((await setBudgets(keyId, [{ kind: 'cpu_seconds', period: 'total', amount: 10 }])).status).toBe(200);
    await use(own, 11);
    await use(other, 1000);
    await until(async () => (await stateOf(own)) === 'paused');
    expect(await stateOf(other)).toBe('running');
    expectSpent(await create(key), 'budget of 10 seconds of CPU time in total', 24 * 3600);
    expectSpent(await resume(own), 'soulbox key budget', 24 * 3600);
    expect((await create()).status).toBe(201);
    const shown = (await api.ask('GET', `/api-keys/${keyId}/budgets`)).json;
    expect(shown).toEqual({ budgets: [{ kind: 'cpu_seconds', period: 'total', amount: 10, used: 11 }] });
    now += 7 * 24 * hourMs;
    expect((await create(key)).status).toBe(429);
    await setBudgets(keyId, []);
    expect((await create(key)).status).toBe(201);
  });

  it('per day ends at midnight', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    const own = await createId(key);
    await setBudgets(keyId, [{ kind: 'egress_mb', period: 'day', amount: 1 }]);
    await use(own, 1, mib);
    await until(async () => (await stateOf(own)) === 'paused');
    expectSpent(await create(key), '1 MiB sent to the outside per day', 23 * 3600);
    now = midnight;
    expect((await create(key)).status).toBe(201);
  });

  it('of created sandboxes is exact for fifty creates at once, and stops no sandbox', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    await setBudgets(keyId, [{ kind: 'sandboxes', period: 'day', amount: 10 }]);
    const answers = await Promise.all(Array.from({ length: 50 }, async () => await create(key)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    expectSpent(await create(key), 'budget of 10 sandboxes created per day', 23 * 3600);
    expect(await api.records.sandboxes.listLive()).toHaveLength(10);
    now = midnight;
    expect((await create(key)).status).toBe(201);
  });

  it('counts the copies of a fork for the key that forks, and a failed create for none', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    const source = await createId();
    await setBudgets(keyId, [{ kind: 'sandboxes', period: 'total', amount: 3 }]);
    api.runner.beforeCreate = async () => await Promise.reject(new Error('broken'));
    expect((await create(key)).status).toBe(500);
    api.runner.beforeCreate = () => Promise.resolve();
    const fork = async (count: number): Promise<number> =>
      (await api.ask('POST', `/sandboxes/${source}/fork`, { body: { count }, key })).status;
    expect([await fork(4), await fork(3), await fork(1)]).toEqual([429, 201, 429]);
  });

  it('cannot be changed by a key that has one, nor evaded by a new key', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    const { id: otherId } = await secondKey();
    await setBudgets(keyId, [{ kind: 'sandboxes', period: 'total', amount: 3 }]);
    expect((await setBudgets(keyId, [], key)).status).toBe(403);
    expect((await setBudgets(otherId, [], key)).status).toBe(403);
    expect((await api.ask('POST', '/api-keys', { body: { name: 'free' }, key })).status).toBe(403);
    expect((await api.ask('GET', `/api-keys/${keyId}/budgets`, { key })).status).toBe(200);
  });

  it('still holds for the sandboxes of a key that was revoked, and can still be raised', async () => {
    await start();
    const { id: keyId, key } = await secondKey();
    const own = await createId(key);
    await setBudgets(keyId, [{ kind: 'cpu_seconds', period: 'total', amount: 10 }]);
    expect((await api.ask('DELETE', `/api-keys/${keyId}`, { key })).status).toBe(204);
    await use(own, 11);
    await until(async () => (await stateOf(own)) === 'paused');
    expect((await resume(own)).status).toBe(429);
    expect((await setBudgets(keyId, [{ kind: 'cpu_seconds', period: 'total', amount: 20 }])).status).toBe(200);
    expect((await resume(own)).status).toBe(201);
    await setBudgets(keyId, []);
    expect((await setBudgets(keyId, [])).status).toBe(404);
  });

  it('of another team is not found', async () => {
    await start();
    const { id: keyId } = await secondKey();
    expect((await setBudgets(keyId, [], api.otherKey)).status).toBe(404);
    expect((await api.ask('GET', `/api-keys/${keyId}/budgets`, { key: api.otherKey })).status).toBe(404);
  });

  it.each([
    [[{ kind: 'cpu_seconds', period: 'week', amount: 1 }]],
    [[{ kind: 'money', period: 'day', amount: 1 }]],
    [[{ kind: 'cpu_seconds', period: 'day', amount: -1 }]],
    [[{ kind: 'cpu_seconds', period: 'day', amount: 1.5 }]],
    [
      [
        { kind: 'cpu_seconds', period: 'day', amount: 1 },
        { kind: 'cpu_seconds', period: 'day', amount: 2 },
      ],
    ],
  ])('is not %j', async (budgets) => {
    await start();
    const { id: keyId } = await secondKey();
    expect((await setBudgets(keyId, budgets)).status).toBe(400);
  });
});
