import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeEach(async () => {
  api = await startTestApi({ config: { teamSandboxLimit: 3, maxTimeoutHours: 1 } });
  id = await create();
});
afterEach(() => api[Symbol.asyncDispose]());

async function create(more: object = {}): Promise<string> {
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', timeout: 100, ...more } });
  return (answer.json as { sandboxID: string }).sandboxID;
}
const post = (path: string, body?: unknown) => api.ask('POST', `/sandboxes/${id}${path}`, { body });
const statuses = (answers: { status: number }[]) => answers.map((answer) => answer.status).sort();
const lastRequest = () => api.runner.stateRequests.at(-1)?.request;
const idsIn = async (query: string) => {
  const answer = await api.ask('GET', `/v2/sandboxes${query}`);
  const ids = (answer.json as { sandboxID: string }[]).map((row) => row.sandboxID);
  return { ids, running: answer.headers.get('x-total-running') };
};

describe('pausing', () => {
  it('returns 204, and the sandbox is listed, shown and filtered as paused', async () => {
    const other = await create();
    const paused = await post('/pause');
    expect([paused.status, paused.text]).toEqual([204, '']);
    const info = await api.ask('GET', `/sandboxes/${id}`);
    expect(info.json).toMatchObject({ sandboxID: id, state: 'paused', cause: 'request' });
    expect((info.json as { endAt: string }).endAt).toBe((info.json as { stateSince: string }).stateSince);
    expect(await idsIn('?state=paused')).toEqual({ ids: [id], running: '1' });
    expect(await idsIn('?state=running')).toEqual({ ids: [other], running: '1' });
    expect((await idsIn('')).ids.sort()).toEqual([id, other].sort());
    const old = await api.ask('GET', '/sandboxes');
    expect(old.json).toMatchObject([{ sandboxID: other }]);
  });

  it('keeps the memory by default, and passes the durability on', async () => {
    for (const [body, expected] of [
      [undefined, { keepMemory: true, durability: '' }],
      [{}, { keepMemory: true, durability: '' }],
      [{ memory: false }, { keepMemory: false, durability: '' }],
      [{ durability: 'in-background' }, { keepMemory: true, durability: 'in-background' }],
    ] as const) {
      expect((await post('/pause', body)).status).toBe(204);
      expect(lastRequest()).toMatchObject({ sandboxId: id, ...expected });
      await post('/connect', { timeout: 100 });
    }
  });

  it.each([[{ memory: 'yes' }], [{ memory: null }], [{ durability: 'never' }], [[]], ['text']])(
    'refuses the body %j',
    async (body) => {
      expect((await post('/pause', JSON.stringify(body))).status).toBe(400);
      expect(api.runner.stateRequests.filter(({ call }) => call === 'pauseSandbox')).toEqual([]);
    },
  );

  it('a paused one is 409 and names both states', async () => {
    await post('/pause');
    const again = await post('/pause');
    expect(again.json).toEqual({
      code: 409,
      message: `Sandbox "${id}" is already paused.`,
    });
  });

  it('by 50 at once succeeds once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => post('/pause')));
    expect(statuses(answers)).toEqual([204, ...Array.from({ length: 49 }, () => 409)]);
  });

  it.each([
    ['checkpoint_failed', 503],
    ['illegal_transition', 409],
    ['capability_missing', 501],
    ['disk_full', 507],
  ] as const)('that fails with %s is %i with the reason, and the sandbox continues to run', async (reason, status) => {
    api.runner.beforeStep = () => Promise.reject(connectErrorFromError(new SoulBoxError(reason, 'because of this')));
    expect((await post('/pause')).json).toEqual({
      ...{ code: status, message: 'because of this' },
      ...(status === 507 ? { error_code: reason } : {}),
    });
    expect((await idsIn('?state=running')).ids).toEqual([id]);
  });

  it('an unknown, foreign or ended one is 404; its owner is told why it ended', async () => {
    const unknown = await api.ask('POST', '/sandboxes/inone/pause');
    expect(unknown.json).toEqual({ code: 404, message: 'Sandbox "inone" was not found.' });
    api.runner.end(id, 'idle');
    await until(async () => (await api.records.sandboxes.find(id))?.state === 'ended');
    expect((await post('/pause')).json).toMatchObject({
      code: 404,
      message: expect.stringMatching(/ \(idle\)\.$/) as string,
    });
    const foreign = await api.ask('POST', `/sandboxes/${id}/pause`, { key: api.otherKey });
    expect(foreign.json).toEqual({ code: 404, message: `Sandbox "${id}" was not found.` });
  });

  it('one that the runner misses only for a moment is 409, and no sandbox is lost', async () => {
    api.runner.beforeStep = () =>
      Promise.reject(connectErrorFromError(new SoulBoxError('sandbox_not_found', 'not in that state')));
    expect((await post('/pause')).status).toBe(409);
    expect((await idsIn('?state=running')).ids).toEqual([id]);
  });

  it('names the true cause even if the runner forgets the sandbox before its event arrives', async () => {
    api.runner.beforeStep = () => {
      api.runner.sandboxes.delete(id);
      setTimeout(() => api.runner.end(id, 'damaged'), 50);
      return Promise.resolve();
    };
    expect((await post('/pause')).json).toMatchObject({ message: expect.stringMatching(/ \(damaged\)\.$/) as string });
  });
});

describe('resuming', () => {
  it.each([
    ['/sandboxes', '/connect', { timeout: 50 }],
    ['/v2/sandboxes', '/connect', { timeout: 50 }],
    ['/sandboxes', '/resume', { timeout: 50, autoPause: true }],
  ])('by %s…%s returns 201 with the same token', async (base, path, body) => {
    await post('/pause');
    const answer = await api.ask('POST', `${base}/${id}${path}`, { body });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ sandboxID: id, envdAccessToken: 'access-token' });
    expect(lastRequest()).toMatchObject({ timeoutSeconds: 50, withMemory: true });
    expect((await idsIn('?state=running')).ids).toEqual([id]);
  });

  it('has the documented defaults', async () => {
    await post('/pause');
    await api.ask('POST', `/v2/sandboxes/${id}/connect`);
    expect(lastRequest()).toMatchObject({ timeoutSeconds: 300, withMemory: true });
    await post('/pause');
    await post('/resume');
    expect(lastRequest()).toMatchObject({ timeoutSeconds: 15, withMemory: true });
    await post('/pause');
    await api.ask('POST', `/v2/sandboxes/${id}/connect`, { body: { memory: false } });
    expect(lastRequest()).toMatchObject({ timeoutSeconds: 300, withMemory: false });
  });

  it('a running one is 200 by connect and 409 by resume', async () => {
    expect((await post('/connect', { timeout: 10 })).status).toBe(200);
    expect((await post('/resume')).json).toEqual({
      code: 409,
      message: `Sandbox "${id}" is already running.`,
    });
  });

  it('by 50 at once resumes once and serves all, on the last place of the team', async () => {
    await post('/pause');
    await create();
    await create();
    const answers = await Promise.all(Array.from({ length: 50 }, () => post('/connect', { timeout: 10 })));
    expect(statuses(answers)).toEqual([...Array.from({ length: 49 }, () => 200), 201]);
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });

  it('takes a place again: without a free place it is 429, and the sandbox stays paused', async () => {
    await post('/pause');
    for (let n = 0; n < 3; n++) await create();
    const full = await post('/connect', { timeout: 10 });
    expect(full.json).toMatchObject({ code: 429, message: expect.stringContaining('maximum number') as string });
    expect((await idsIn('?state=paused')).ids).toEqual([id]);
  });

  it.each([
    ['sandbox_resume_failed', 503],
    ['state_damaged', 500],
    ['state_incompatible', 409],
  ] as const)('that fails with %s is %i and leaves it paused, without a place', async (reason, status) => {
    await post('/pause');
    api.runner.beforeStep = () => Promise.reject(connectErrorFromError(new SoulBoxError(reason, 'because of this')));
    expect((await post('/connect', { timeout: 10 })).json).toEqual({ code: status, message: 'because of this' });
    expect((await idsIn('?state=paused')).ids).toEqual([id]);
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });

  it('beyond the maximum life is refused', async () => {
    await post('/pause');
    expect((await post('/connect', { timeout: 3601 })).status).toBe(400);
    expect((await post('/connect', { timeout: 3600 })).status).toBe(201);
  });
});

describe('a paused sandbox', () => {
  beforeEach(async () => {
    await post('/pause');
  });

  it.each([
    ['/timeout', { timeout: 10 }],
    ['/timeout', { timeout: 0 }],
    ['/refreshes', { duration: 10 }],
  ])('has no timeout to move by %s, which returns 409', async (path, body) => {
    const answer = await post(path, body);
    expect(answer.json).toEqual({
      code: 409,
      message: `Sandbox "${id}" is paused and has no timeout. Connect to it to resume it.`,
    });
    expect((await idsIn('?state=paused')).ids).toEqual([id]);
  });

  it('still returns its metrics and logs', async () => {
    expect((await api.ask('GET', `/sandboxes/${id}/metrics`)).json).toEqual([]);
    expect((await api.ask('GET', `/v2/sandboxes/${id}/logs`)).json).toEqual({ logs: [] });
  });

  it('is killed with 204 and is then gone', async () => {
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/sandboxes/${id}`)).status).toBe(404);
    expect((await idsIn('')).ids).toEqual([]);
  });

  it('outlives its old deadline and a restart of the API', async () => {
    const row = await api.records.sandboxes.find(id);
    if (row?.state !== 'paused') throw new Error('not paused');
    await api.records.sandboxes.put({ ...row, state: 'paused', endAt: 1 }, Date.now());
    await api.restart();
    expect((await idsIn('?state=paused')).ids).toEqual([id]);
  });
});

describe('the automatic behavior of a sandbox', () => {
  it('is set at its create, passed on and shown', async () => {
    const settings = { autoPause: true, autoResume: { enabled: true }, idleTimeout: 60, isolation: 'gvisor' };
    const made = await create(settings);
    expect(api.runner.creates.at(-1)).toMatchObject({
      isolation: 'gvisor',
      lifecycle: {
        ...{ pauseOnTimeout: true, pauseMemory: true, autoResume: true, idleTimeoutSeconds: 60, timeoutSeconds: 100 },
      },
    });
    expect((await api.ask('GET', `/sandboxes/${made}`)).json).toMatchObject({
      ...{ isolation: 'gvisor', idleTimeout: 60, lifecycle: { autoResume: true, onTimeout: 'pause' } },
    });
  });

  it('is off by default', () => {
    expect(api.runner.creates[0]).toMatchObject({
      isolation: '',
      lifecycle: { pauseOnTimeout: false, pauseMemory: true, autoResume: false, idleTimeoutSeconds: 0 },
    });
  });

  it.each([
    ['a negative idle timeout', { idleTimeout: -1 }],
    ['half a second of idling', { idleTimeout: 0.5 }],
    ['a century of idling', { idleTimeout: 3_153_600_000 }],
    ['an idle timeout as text', { idleTimeout: '60' }],
    ['an unknown isolation', { isolation: 'vm' }],
    ['an empty isolation', { isolation: '' }],
    ['autoPause as text', { autoPause: 'yes' }],
    ['autoResume without enabled', { autoResume: {} }],
    [
      'a resume by traffic of what has no memory',
      { autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } },
    ],
  ])('refuses %s', async (_what, settings) => {
    const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', ...settings } });
    expect(answer.status).toBe(400);
    expect(api.runner.creates).toHaveLength(1);
  });

  it('names the isolation that is not available', async () => {
    const error = new SoulBoxError('capability_missing', "isolation 'gvisor' is not available on this host");
    api.runner.beforeCreate = () => Promise.reject(connectErrorFromError(error));
    const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', isolation: 'gvisor' } });
    expect(answer.json).toEqual({ code: 501, message: "isolation 'gvisor' is not available on this host" });
  });

  it('at a timeout of 0 follows its deadline: the runner gets the time', async () => {
    const made = await create({ autoPause: true });
    expect((await api.ask('POST', `/sandboxes/${made}/timeout`, { body: { timeout: 0 } })).status).toBe(204);
    api.runner.move(made, 'paused', 'timeout');
    await until(async () => (await idsIn('?state=paused')).ids.includes(made));
    expect((await api.ask('GET', `/sandboxes/${made}`)).json).toMatchObject({ state: 'paused', cause: 'timeout' });
  });
});

describe('forking', () => {
  it('gives a copy that lives 15 s by default', async () => {
    const answer = await post('/fork');
    expect(answer.status).toBe(201);
    expect(lastRequest()).toMatchObject({
      ...{ count: 1, timeoutSeconds: 15, teamId: api.teamId, source: { case: 'sandboxId', value: id } },
    });
    const [copy] = answer.json as { sandbox: { sandboxID: string } }[];
    expect(copy).toEqual({ sandbox: expect.objectContaining({ envdAccessToken: 'access-token' }) as object });
    expect((await api.ask('GET', `/sandboxes/${copy?.sandbox.sandboxID ?? ''}`)).json).toMatchObject({ cause: 'fork' });
  });

  it('reports for each copy whether it was made; failed ones do not count', async () => {
    api.runner.failingForks = 1;
    const answer = await post('/fork', { count: 2, timeout: 60 });
    expect(answer.json).toEqual([
      { sandbox: expect.any(Object) as object },
      { error: { code: 503, message: 'no memory left' } },
    ]);
    expect((await idsIn('')).ids).toHaveLength(2);
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });

  it('works on a paused sandbox too and leaves it paused', async () => {
    await post('/pause');
    expect((await post('/fork', { count: 3 })).status).toBe(201);
    expect((await idsIn('?state=paused')).ids).toEqual([id]);
    expect((await idsIn('?state=running')).ids).toHaveLength(3);
  });

  it('more copies than the limit of the team allows is 429 and makes none', async () => {
    expect((await post('/fork', { count: 3 })).status).toBe(429);
    expect((await idsIn('')).ids).toEqual([id]);
  });

  it.each(['0', '101', '"x"', '"1"', '-1', '1.5', 'null', 'true', '1e309', '[1]'])(
    'refuses the count %s before it checks the id',
    async (count) => {
      for (const path of ['/sandboxes/inone/fork', '/snapshots/none/fork']) {
        const answer = await api.ask('POST', path, { body: `{"count":${count}}` });
        expect([path, answer.status]).toEqual([path, 400]);
      }
      expect((await post('/fork', { count: 1, timeout: 0 })).status).toBe(400);
    },
  );

  it('an unknown or killed one is 404', async () => {
    expect((await api.ask('POST', '/sandboxes/inone/fork')).status).toBe(404);
    await api.ask('DELETE', `/sandboxes/${id}`);
    expect((await post('/fork')).status).toBe(404);
  });

  it('that the runner refuses removes the reservation', async () => {
    api.runner.beforeStep = () => Promise.reject(connectErrorFromError(new SoulBoxError('checkpoint_failed', 'why')));
    expect((await post('/fork', { count: 2 })).json).toEqual({ code: 503, message: 'why' });
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });
});
