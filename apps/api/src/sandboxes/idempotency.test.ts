import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { Code, ConnectError } from '@connectrpc/connect';
import { startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi;
let now: number;
beforeEach(async () => {
  now = Date.now();
  api = await startTestApi({ config: { teamIdempotencyLimit: 5 }, clock: { now: () => now } });
});
afterEach(() => api[Symbol.asyncDispose]());

const base = { templateID: 'base', timeout: 3600 };
const create = async (idempotencyKey: string, body: object = base, more: { key?: string; path?: string } = {}) =>
  await api.ask('POST', more.path ?? '/v2/sandboxes', {
    body,
    headers: { 'idempotency-key': idempotencyKey },
    ...(more.key === undefined ? {} : { key: more.key }),
  });
/** Id of the key that the requests are sent with. */
const keyId = async (): Promise<string> => (await api.records.apiKeys.list(api.teamId))[0]?.id ?? '';
const idOf = (answer: Answer): string => (answer.json as { sandboxID: string }).sandboxID;
const messageOf = (answer: Answer): string => (answer.json as { message: string }).message;

describe('a create with an idempotency key', () => {
  it('that is repeated returns the same answer, with the token, and creates nothing', async () => {
    const first = await create('one', { ...base, metadata: { a: '1', b: '2' } });
    const again = await create('"one"', { metadata: { b: '2', a: '1' }, timeout: 3600, templateID: 'base' });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.json).toEqual(first.json);
    expect((again.json as { envdAccessToken: string }).envdAccessToken).toBe('access-token');
    expect([first, again].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true']);
    expect(api.runner.creates).toHaveLength(1);
  });

  it('returns the same sandbox after a restart of the server', async () => {
    const first = await create('one');
    await api.restart();
    expect(idOf(await create('one'))).toBe(idOf(first));
    expect(api.runner.sandboxes.size).toBe(1);
  });

  it('is another one in another team and with another key', async () => {
    const first = await create('one');
    const others = [await create('two'), await create('one', base, { key: api.otherKey })];
    expect(new Set([first, ...others].map(idOf)).size).toBe(3);
  });

  it('belongs to its sender: another API key of the team makes its own, and learns nothing of the first', async () => {
    const made = await api.ask('POST', '/api-keys', { body: { name: 'colleague' } });
    const { key } = made.json as { key: string };
    const [first, other] = [await create('one'), await create('one', base, { key })];
    expect([other.status, other.headers.get('idempotent-replayed')]).toEqual([201, null]);
    expect(idOf(other)).not.toBe(idOf(first));
    // Nor does it learn what the request was.
    expect((await create('one', { ...base, timeout: 9 }, { key })).status).toBe(422);
    expect((await create('two', { ...base, timeout: 9 }, { key })).status).toBe(201);
    expect((await create('one', base, { key })).json).toEqual(other.json);
  });

  it('for another body or another route is refused with 422, whatever became of the first', async () => {
    const first = await create('one');
    for (const answer of [
      await create('one', { ...base, timeout: 3601 }),
      await create('one', { ...base, metadata: {} }),
      await create('one', base, { path: '/sandboxes' }),
    ]) {
      expect([answer.status, messageOf(answer)]).toEqual([422, expect.stringContaining('another request')]);
    }
    await api.ask('DELETE', `/sandboxes/${idOf(first)}`);
    expect((await create('one', { ...base, timeout: 3601 })).status).toBe(422);
    expect(api.runner.creates).toHaveLength(1);
  });

  it('that is still in progress is refused with 409 and Retry-After, and then returns the sandbox', async () => {
    const entered = Promise.withResolvers<undefined>();
    const release = Promise.withResolvers<undefined>();
    api.runner.beforeCreate = async () => {
      entered.resolve(undefined);
      await release.promise;
    };
    const first = create('one');
    await entered.promise;
    const second = await create('one');
    expect([second.status, second.headers.get('retry-after')]).toEqual([409, '1']);
    expect(await create('one', { ...base, timeout: 9 })).toMatchObject({ status: 422 });
    release.resolve(undefined);
    const made = idOf(await first);
    expect(idOf(await create('one'))).toBe(made);
  });

  it('by fifty callers at once makes one sandbox; the others get it or 409', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, async () => await create('one')));
    const made = answers.filter(({ status }) => status === 201);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map(idOf)).size).toBe(1);
    expect(answers.filter(({ status }) => status !== 201).every(({ status }) => status === 409)).toBe(true);
    expect(api.runner.sandboxes.size).toBe(1);
  });

  it('whose sandbox has ended says so, and creates none', async () => {
    const id = idOf(await create('one'));
    await api.ask('DELETE', `/sandboxes/${id}`);
    const ended = await create('one');
    expect([ended.status, messageOf(ended)]).toEqual([404, expect.stringContaining(id)]);
    await api.records.sandboxes.purgeEnded(now + 1e9, 10);
    const purged = await create('one');
    expect([purged.status, messageOf(purged)]).toEqual([404, expect.stringContaining('does not exist any more')]);
    expect(api.runner.creates).toHaveLength(1);
  });

  it('that failed for its own fault can be repeated with another body', async () => {
    expect((await create('one', { ...base, templateID: 'missing' })).status).toBe(404);
    expect((await create('one', { ...base, timeout: 99_999_999 })).status).toBe(400);
    await api.records.quotas.setLimits(api.teamId, { sandboxes: 0 });
    expect((await create('one')).status).toBe(429);
    await api.records.quotas.setLimits(api.teamId, { sandboxes: undefined });
    expect((await create('one')).status).toBe(201);
  });

  it('whose outcome is unknown is continued by the repetition, not made twice', async () => {
    const lost = new ConnectError('the connection broke', Code.Unavailable);
    const { createSandbox } = api.runner.client;
    let answersLost = 1;
    Object.assign(api.runner.client, {
      createSandbox: async (...args: Parameters<typeof createSandbox>) => {
        const answer = await createSandbox(...args);
        if (answersLost-- > 0) throw lost;
        return answer;
      },
    });
    expect((await create('one')).status).toBe(503);
    expect((await create('one', { ...base, timeout: 9 })).status).toBe(422);
    const again = await create('one');
    expect(again.status).toBe(201);
    expect([...api.runner.sandboxes.keys()]).toEqual([idOf(again)]);
  });

  it('is not counted against the limits when it is repeated', async () => {
    await api.records.quotas.setLimits(api.teamId, { sandboxes: 1, creates_per_second: 0, creates_burst: 1 });
    expect((await create('one')).status).toBe(201);
    expect((await create('one')).status).toBe(201);
    expect((await create('two')).status).toBe(429);
  });

  it('is forgotten after 24 hours, and not before', async () => {
    const first = idOf(await create('one', { ...base, timeout: 24 * 3600 }));
    now += 24 * 3600 * 1000 - 1;
    expect((await create('one')).status).toBe(422);
    now += 1;
    expect(idOf(await create('one'))).not.toBe(first);
  });

  it('beyond the number of keys of a team is refused until the first is forgotten; none is forgotten for it', async () => {
    for (const key of ['a', 'b', 'c', 'd', 'e']) expect((await create(key)).status).toBe(201);
    now += 1000;
    const full = await create('f');
    expect([full.status, full.headers.get('retry-after')]).toEqual([429, String(24 * 3600 - 1)]);
    expect((await create('f', base, { key: api.otherKey })).status).toBe(201);
    expect((await create('a')).headers.get('idempotent-replayed')).toBe('true');
  });

  it.each(['', 'a b', 'a,b', 'x'.repeat(256)])('that is %j is refused', async (key) => {
    expect((await create(key)).status).toBe(400);
    expect(api.runner.creates).toHaveLength(0);
  });

  it('leaves no token in the records', async () => {
    await create('one');
    const row = await api.records.idempotency.begin(
      { teamId: api.teamId, key: `${await keyId()} one`, fingerprint: 'x', creationId: 'x', keptUntil: 1 },
      now,
      9,
    );
    expect(row).toEqual({ is: 'other' });
    const answer = await create('one');
    expect(answer.text).toContain('access-token');
    api.runner.sandboxes.clear();
    expect((await create('one')).text).not.toContain('access-token');
  });
});

describe('a server that is killed during a create', () => {
  it('after the runner has made the sandbox, returns it to the repetition', async () => {
    api.runner.beforeCreate = async () =>
      await Promise.reject(connectErrorFromError(new SoulBoxError('internal', 'x')));
    expect((await create('one')).status).toBe(500);
    const { creationId } = api.runner.creates.at(-1) ?? { creationId: '' };
    // It was made all the same, and the server died before it knew.
    const { sandboxId } = api.runner.plant({ teamId: api.teamId, creationId });
    await api.restart();
    api.runner.beforeCreate = () => Promise.resolve();
    expect(idOf(await create('one'))).toBe(sandboxId);
    expect(api.runner.sandboxes.size).toBe(1);
  });

  it('before that, makes it at the repetition, once', async () => {
    api.runner.failure = new ConnectError('gone', Code.Unavailable);
    expect((await create('one')).status).toBe(503);
    api.runner.failure = undefined;
    await api.restart();
    const [first, second] = [await create('one'), await create('one')];
    expect(idOf(first)).toBe(idOf(second));
    expect(api.runner.sandboxes.size).toBe(1);
  });
});

describe('a snapshot with an idempotency key', () => {
  it('that is repeated is the same, also after its sandbox has ended, until it is deleted', async () => {
    const id = idOf(await create('one'));
    const snapshot = async (body: object = {}): Promise<Answer> =>
      await api.ask('POST', `/sandboxes/${id}/snapshots`, { body, headers: { 'idempotency-key': 'shot' } });
    const first = await snapshot();
    expect(first.status).toBe(201);
    expect((await snapshot({ name: 'other' })).status).toBe(422);
    await api.ask('DELETE', `/sandboxes/${id}`);
    const again = await snapshot();
    expect([again.status, again.json]).toEqual([201, first.json]);
    expect(api.runner.snapshots.size).toBe(1);
    const { snapshotID } = first.json as { snapshotID: string };
    expect((await api.ask('DELETE', `/snapshots/${encodeURIComponent(snapshotID)}`)).status).toBe(204);
    const gone = await snapshot();
    expect([gone.status, messageOf(gone)]).toEqual([404, expect.stringContaining('does not exist any more')]);
  });

  it('that failed for its own fault can be repeated', async () => {
    const id = idOf(await create('one'));
    const snapshot = async (body: object): Promise<Answer> =>
      await api.ask('POST', `/sandboxes/${id}/snapshots`, { body, headers: { 'idempotency-key': 'shot' } });
    expect((await snapshot({ name: 'a b' })).status).toBe(400);
    expect((await snapshot({})).status).toBe(201);
  });
});

describe.each(['sandbox', 'snapshot'] as const)('a fork of a %s with an idempotency key', (kind) => {
  interface Copy {
    readonly sandbox?: { readonly sandboxID: string; readonly envdAccessToken: string };
    readonly error?: { readonly code: number; readonly message: string };
  }
  let path: string;
  beforeEach(async () => {
    const id = idOf(await create('source'));
    if (kind === 'sandbox') path = `/sandboxes/${id}/fork`;
    else {
      const { json } = await api.ask('POST', `/sandboxes/${id}/snapshots`, { body: {} });
      path = `/snapshots/${encodeURIComponent((json as { snapshotID: string }).snapshotID)}/fork`;
    }
  });
  const fork = async (count = 3, timeout = 60): Promise<Answer> =>
    await api.ask('POST', path, { body: { count, timeout }, headers: { 'idempotency-key': 'fork' } });
  const copiesOf = (answer: Answer): Copy[] => answer.json as Copy[];
  const idsOf = (answer: Answer) => copiesOf(answer).map(({ sandbox }) => sandbox?.sandboxID);
  const forks = () => api.runner.stateRequests.filter(({ call }) => call === 'forkSandbox');

  it('that is repeated returns the same copies with their tokens, also after a restart', async () => {
    const first = await fork();
    expect([first.status, new Set(idsOf(first)).size]).toEqual([201, 3]);
    await api.restart();
    const again = await fork();
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
    expect(new Set(idsOf(again))).toEqual(new Set(idsOf(first)));
    expect(copiesOf(again).every(({ sandbox }) => sandbox?.envdAccessToken === 'access-token')).toBe(true);
    expect(forks()).toHaveLength(1);
    expect((await fork(2)).status).toBe(422);
    expect((await fork(3, 61)).status).toBe(422);
  });

  it('that made only some copies returns these, and makes no others', async () => {
    api.runner.failingForks = 1;
    const first = await fork();
    api.runner.failingForks = 0;
    const again = copiesOf(await fork());
    const made = idsOf(first).filter((id) => id !== undefined);
    expect([again.flatMap(({ sandbox }) => sandbox?.sandboxID ?? []).sort(), again.length]).toEqual([made.sort(), 3]);
    expect(again.at(-1)).toMatchObject({
      error: { code: 404, message: expect.stringContaining('did not make') as string },
    });
    expect(forks()).toHaveLength(1);
  });

  it('names the copies that have ended since', async () => {
    const [ended] = idsOf(await fork());
    await api.ask('DELETE', `/sandboxes/${ended ?? ''}`);
    const again = copiesOf(await fork());
    expect(again.filter(({ sandbox }) => sandbox !== undefined)).toHaveLength(2);
    const [gone] = again.filter(({ error }) => error !== undefined);
    expect(gone?.error).toMatchObject({ code: 404, message: expect.stringContaining(ended ?? '') as string });
    await api.records.sandboxes.purgeEnded(now + 1e9, 10);
    expect(copiesOf(await fork()).filter(({ error }) => error?.code === 404)).toHaveLength(1);
    expect(forks()).toHaveLength(1);
  });

  it('whose outcome is unknown is continued by the repetition, not made twice', async () => {
    const lost = new ConnectError('the connection broke', Code.Unavailable);
    const { forkSandbox } = api.runner.client;
    let answersLost = 1;
    Object.assign(api.runner.client, {
      forkSandbox: async (...args: Parameters<typeof forkSandbox>) => {
        const answer = await forkSandbox(...args);
        if (answersLost-- > 0) throw lost;
        return answer;
      },
    });
    const before = api.runner.sandboxes.size;
    expect((await fork()).status).toBe(503);
    expect(new Set(idsOf(await fork())).size).toBe(3);
    expect(api.runner.sandboxes.size).toBe(before + 3);
  });

  it('that failed for its own fault can be repeated', async () => {
    await api.records.quotas.setLimits(api.teamId, { sandboxes: 2 });
    expect((await fork()).status).toBe(429);
    await api.records.quotas.setLimits(api.teamId, { sandboxes: undefined });
    expect((await fork(2)).status).toBe(201);
  });
});

describe('a template build with an idempotency key', () => {
  const request = async (body: object = { name: 'web' }, path = '/v3/templates'): Promise<Answer> =>
    await api.ask('POST', path, { body, headers: { 'idempotency-key': 'build' } });
  const buildIn = ({ json }: Answer) => json as { templateID: string; buildID: string };

  it('that is requested again is the same build', async () => {
    const first = await request();
    expect(first.status).toBe(202);
    await api.restart();
    const again = await request();
    expect([again.status, again.json, again.headers.get('idempotent-replayed')]).toEqual([202, first.json, 'true']);
    expect((await request({ name: 'web', tags: ['next'] })).status).toBe(422);
    expect(await api.records.builds.count(buildIn(first).templateID)).toBe(1);
    await api.ask('DELETE', `/templates/${buildIn(first).templateID}`);
    const gone = await request();
    expect([gone.status, messageOf(gone)]).toEqual([404, expect.stringContaining('does not exist any more')]);
  });

  it('that is started again is accepted, and starts nothing; without the key it is refused', async () => {
    const { templateID, buildID } = buildIn(await request());
    const path = `/v2/templates/${templateID}/builds/${buildID}`;
    const start = async (headers: Record<string, string> = { 'idempotency-key': 'start' }, more: object = {}) =>
      (await api.ask('POST', path, { body: { fromImage: 'debian:stable', ...more }, headers })).status;
    expect([await start(), await start()]).toEqual([202, 202]);
    expect(await start(undefined, { force: true })).toBe(422);
    expect([await start({}), await start({ 'idempotency-key': 'other' })]).toEqual([400, 400]);
  });

  it('can use one key for both of its requests, as a client with fixed headers does', async () => {
    const { templateID, buildID } = buildIn(await request());
    const start = async (more: object = {}) =>
      await api.ask('POST', `/v2/templates/${templateID}/builds/${buildID}`, {
        body: { fromImage: 'debian:stable', ...more },
        headers: { 'idempotency-key': 'build' },
      });
    expect([(await start()).status, (await start()).headers.get('idempotent-replayed')]).toEqual([202, 'true']);
    expect([(await start({ force: true })).status, (await request()).status]).toEqual([422, 202]);
  });
});
