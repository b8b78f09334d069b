import { setTimeout as sleep } from 'node:timers/promises';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const ids = async (key?: string): Promise<string[]> => {
  const answer = await api.ask('GET', '/v2/sandboxes', key === undefined ? {} : { key });
  return (answer.json as { sandboxID: string }[]).map((row) => row.sandboxID);
};
const create = async (): Promise<string> => {
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  return (answer.json as { sandboxID: string }).sandboxID;
};
const causeOf = async (id: string): Promise<string | undefined> => {
  const record = await api.records.sandboxes.find(id);
  return record?.state === 'ended' ? record.cause : undefined;
};

describe('records and runner', () => {
  it.each([
    ['timeout', 'timeout'],
    ['killed', 'killed'],
    ['failed', 'failed'],
    ['something new', 'failed'],
  ])('agree after the runner ended a sandbox by %s', async (told, kept) => {
    const id = await create();
    api.runner.end(id, told);
    await until(async () => (await ids()).length === 0);
    expect(await causeOf(id)).toBe(kept);
  });

  it('agree after the runner moved the deadline by itself', async () => {
    const id = await create();
    const sandbox = api.runner.sandboxes.get(id);
    if (sandbox === undefined) throw new Error('no sandbox');
    sandbox.endAt = timestampFromMs(4_000_000_000_000);
    api.runner.tell({ case: 'updated', value: { sandbox } as never });
    await until(async () => (await api.records.sandboxes.find(id))?.endAt === 4_000_000_000_000);
  });

  it('agree about a sandbox whose runner did not record since when it runs', async () => {
    const sandbox = api.runner.plant({ teamId: api.teamId, stateSince: timestampFromMs(0) });
    await api.restart();
    sandbox.endAt = timestampFromMs(4_000_000_000_000);
    api.runner.tell({ case: 'updated', value: { sandbox } as never });
    await until(async () => (await api.records.sandboxes.find(sandbox.sandboxId))?.endAt === 4_000_000_000_000);
    const row = await api.records.sandboxes.find(sandbox.sandboxId);
    expect(row?.stateSince).toBe(row?.startedAt);
  });

  it('synchronize again after the stream broke, in both directions', async () => {
    const gone = await create();
    const stays = await create();
    api.runner.failure = new Error('away');
    api.runner.cutStreams();
    await until(() => api.runner.watchers() === 0);
    api.runner.sandboxes.delete(gone);
    const adopted = api.runner.plant({ teamId: api.teamId, metadata: { made: 'elsewhere' } }).sandboxId;
    api.runner.failure = undefined;
    await until(async () => (await ids()).includes(adopted));
    await until(async () => (await causeOf(gone)) === 'lost');
    expect((await ids()).sort()).toEqual([stays, adopted].sort());
  });

  it('reconnect also when the stream ends without an error', async () => {
    for (let n = 0; n < 3; n++) {
      api.runner.cutStreams();
      await until(() => api.runner.watchers() === 0);
      await until(() => api.runner.watchers() === 1);
    }
  });

  it('record a missing sandbox past its deadline as timed out, not lost', async () => {
    const id = await create();
    const record = await api.records.sandboxes.find(id);
    if (record === undefined) throw new Error('no record');
    api.runner.sandboxes.delete(id);
    await api.records.sandboxes.put({ ...record, state: 'running', endAt: Date.now() - 60_000 }, Date.now());
    await api.restart();
    expect(await causeOf(id)).toBe('timeout');
  });

  it('do not end a sandbox that was created during the comparison', async () => {
    for (let n = 0; n < 20; n++) {
      api.runner.cutStreams();
      const made = await Promise.all([create(), create(), create()]);
      expect(await ids()).toEqual(expect.arrayContaining(made));
    }
    await until(() => api.runner.watchers() === 1);
    expect(await ids()).toHaveLength(60);
  });

  it('adopt a sandbox for its own team', async () => {
    const id = api.runner.plant({ teamId: api.otherTeamId }).sandboxId;
    await api.restart();
    expect(await ids()).toEqual([]);
    expect(await ids(api.otherKey)).toEqual([id]);
  });

  it('keep a sandbox of an unknown team, and recreate the team without keys', async () => {
    const { sandboxId } = api.runner.plant({ teamId: 'nobody' });
    await api.restart();
    expect(await ids()).toEqual([]);
    expect(api.runner.sandboxes.size).toBe(1);
    expect(await api.readLog()).toContain('sandbox of an unknown team');
    expect(await api.records.sandboxes.find(sandboxId)).toMatchObject({ state: 'running', teamId: 'nobody' });
    expect(await api.records.apiKeys.list('nobody')).toEqual([]);
  });

  it.each(['running', 'paused'] as const)('restore a %s sandbox that was recorded as lost', async (state) => {
    const id = await create();
    if (state === 'paused') api.runner.move(id, 'paused', 'request');
    await until(async () => (await api.records.sandboxes.find(id))?.state === state);
    await api.records.sandboxes.end(id, 'lost', Date.now());
    expect(await ids()).toEqual([]);
    await api.restart();
    expect(await api.records.sandboxes.find(id)).toMatchObject({ id, state });
    const events = await api.ask('GET', `/events/sandboxes/${id}?limit=1`);
    expect(events.json).toMatchObject([{ type: 'sandbox.lifecycle.updated', eventData: { cause: 'recovered' } }]);
  });

  it.each(['killed', 'timeout', 'idle'] as const)(
    'end a running sandbox whose owner was told that it had ended (%s)',
    async (cause) => {
      const id = await create();
      const stays = await create();
      await api.records.sandboxes.end(id, cause, Date.now());
      await api.restart();
      expect([...api.runner.sandboxes.keys()]).toEqual([stays]);
      expect(await ids()).toEqual([stays]);
    },
  );

  it("do not end a sandbox that is missing from the runner's list but found when asked for", async () => {
    const id = await create();
    const sandbox = api.runner.sandboxes.get(id);
    if (sandbox === undefined) throw new Error('no sandbox');
    api.runner.hidden.add(id);
    await api.restart();
    expect(await ids()).toEqual([id]);
  });

  it('never bring an ended sandbox back', async () => {
    const id = await create();
    const sandbox = api.runner.sandboxes.get(id);
    await api.ask('DELETE', `/sandboxes/${id}`);
    api.runner.tell({ case: 'updated', value: { sandbox } as never });
    const next = await create();
    await sleep(50);
    expect(await ids()).toEqual([next]);
  });
});

describe('a kill of the server during a create', () => {
  it('before the call of the runner leaves nothing', async () => {
    await api.records.sandboxes.beginCreation(
      { id: 'c', teamId: api.teamId, templateId: 't', startedAt: 1, sandboxCount: 1, memoryMb: 0 },
      { sandboxes: 10, memoryMb: Infinity },
      0,
    );
    await api.restart();
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
    expect(await ids()).toEqual([]);
  });

  it('after the runner created it leaves a sandbox that is adopted, with its metadata', async () => {
    await api.records.sandboxes.beginCreation(
      { id: 'c', teamId: api.teamId, templateId: 't', startedAt: 1, sandboxCount: 1, memoryMb: 0 },
      { sandboxes: 10, memoryMb: Infinity },
      0,
    );
    const { sandboxId } = api.runner.plant({ teamId: api.teamId, metadata: { a: 'b' }, envdAccessToken: 'tok' });
    await api.restart();
    const info = await api.ask('GET', `/sandboxes/${sandboxId}`);
    expect(info.json).toMatchObject({ sandboxID: sandboxId, metadata: { a: 'b' }, envdAccessToken: 'tok' });
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });
});

describe('without a runner', () => {
  it('the API starts, lists known sandboxes and returns 500 or 503 for the rest', async () => {
    const id = await create();
    api.runner.failure = new Error('away');
    const startedAt = Date.now();
    api.runner.cutStreams();
    await api.restart();
    expect(Date.now() - startedAt).toBeLessThan(4000);
    expect(await ids()).toEqual([id]);
    expect((await api.ask('GET', '/health')).status).toBe(204);
    expect((await api.ask('GET', `/sandboxes/${id}`)).status).toBeGreaterThanOrEqual(500);
  });
});
