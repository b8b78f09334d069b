import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeEach(async () => {
  api = await startTestApi({ config: { teamSnapshotLimit: 30 } });
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  id = (answer.json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

interface Info {
  readonly snapshotID: string;
  readonly names: string[];
}
const make = (body?: unknown) => api.ask('POST', `/sandboxes/${id}/snapshots`, { body });
const made = async (body?: unknown): Promise<string> => ((await make(body)).json as Info).snapshotID;
const list = async (query = '', key?: string) => {
  const answer = await api.ask('GET', `/snapshots${query}`, key === undefined ? {} : { key });
  const rows = Array.isArray(answer.json) ? (answer.json as Info[]) : [];
  return { ...answer, ids: rows.map((row) => row.snapshotID) };
};
const remove = (name: string, base = '/templates', key?: string) =>
  api.ask('DELETE', `${base}/${encodeURIComponent(name)}`, key === undefined ? {} : { key });
const createFrom = (templateID: string, path = '/v2/sandboxes', key?: string) =>
  api.ask('POST', path, { body: { templateID }, ...(key === undefined ? {} : { key }) });

describe('making snapshots', () => {
  it.each([[undefined], [{}]])('without a name (body %j) gives an id with a tag', async (body) => {
    const answer = await make(body);
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({
      ...{
        snapshotID: expect.stringMatching(/^s[a-z0-9]{20}:default$/) as string,
        names: [],
        sandboxID: id,
        sizeBytes: 4096,
      },
    });
  });

  it.each([
    ['mine', 'default/mine:default'],
    [' MINE:V1.2 ', 'default/mine:v1.2'],
    ['default/mine', 'default/mine:default'],
  ])('called %j gives the full name', async (name, full) => {
    expect((await make({ name })).json).toMatchObject({ snapshotID: full, names: [full] });
  });

  it.each([
    ...['', ' ', '../x', 'a/b/c', 'a b', 'ä', 'a:b:c', 'a:', ':b', '/a', 'a\u0000', 'x'.repeat(129), 'other/mine'],
    ...['a:12345678-1234-1234-1234-123456789abc', "a'; DROP TABLE snapshots --", '%61'],
  ])('refuses the name %j', async (name) => {
    const answer = await make({ name });
    expect([answer.status, answer.json]).toEqual([
      400,
      { code: 400, message: expect.stringMatching(/name/) as string },
    ]);
    expect(api.runner.snapshots.size).toBe(0);
  });

  it.each([['base'], ['tbase'], ['base:v2']])('refuses the name of a template of the server: %s', async (name) => {
    expect((await make({ name })).json).toMatchObject({ code: 409 });
  });

  it('of an unknown or foreign sandbox is 404', async () => {
    expect((await api.ask('POST', '/sandboxes/inone/snapshots')).status).toBe(404);
    expect((await api.ask('POST', `/sandboxes/${id}/snapshots`, { key: api.otherKey })).status).toBe(404);
  });

  it('with a name in use replaces the old one, in the runner too', async () => {
    await make({ name: 'mine' });
    const [old] = api.runner.snapshots.keys();
    await make({ name: 'mine' });
    expect((await list()).ids).toEqual(['default/mine:default']);
    expect(api.runner.snapshots.has(old ?? '')).toBe(false);
    expect(api.runner.snapshots.size).toBe(1);
  });

  it('by 50 at once respects the limit and leaves no intent behind', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => make()));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(30);
    expect(answers.filter((answer) => answer.status === 429)).toHaveLength(20);
    expect((await api.records.snapshots.listAll()).every((row) => row.state === 'ready')).toBe(true);
  });

  it('by 50 at once with one name leaves one', async () => {
    for (let n = 0; n < 5; n++) await Promise.all(Array.from({ length: 10 }, () => make({ name: 'mine' })));
    expect((await list()).ids).toEqual(['default/mine:default']);
    expect(api.runner.snapshots.size).toBe(1);
  });

  it('that fails leaves nothing and gives the reason', async () => {
    const failure = connectErrorFromError(new SoulBoxError('checkpoint_failed', 'no space'));
    api.runner.beforeStep = (call) => (call === 'makeSnapshot' ? Promise.reject(failure) : Promise.resolve());
    expect((await make({ name: 'mine' })).json).toEqual({ code: 503, message: 'no space' });
    expect(await api.records.snapshots.listAll()).toEqual([]);
  });

  it('records the checkpoint once, with the id of the snapshot', async () => {
    await make({ name: 'mine' });
    const events = await api.ask('GET', `/events/sandboxes/${id}?types=sandbox.lifecycle.checkpointed`);
    const [snapshotId] = api.runner.snapshots.keys();
    expect(events.json).toMatchObject([{ eventData: { snapshotId } }]);
    expect(events.json).toHaveLength(1);
  });
});

describe('listing snapshots', () => {
  it('filters by sandbox and name, and pages newest first', async () => {
    const all: string[] = [];
    for (let n = 0; n < 5; n++) {
      all.unshift(await made({ name: `n${n}` }));
      await sleep(2);
    }
    expect((await list()).ids).toEqual(all);
    expect((await list(`?sandboxID=${id}`)).ids).toEqual(all);
    expect((await list('?sandboxID=inone')).ids).toEqual([]);
    expect((await list('?sandboxID=..%2F')).ids).toEqual([]);
    expect((await list('?name=n3')).ids).toEqual(['default/n3:default']);
    expect((await list('?name=default%2Fn3%3Adefault')).ids).toEqual(['default/n3:default']);
    expect((await list('?name=other%2Fn3')).ids).toEqual([]);
    expect((await list('?name=a%20b')).ids).toEqual([]);
    const seen: string[] = [];
    let token: string | null = null;
    do {
      const page = await list(`?limit=2${token === null ? '' : `&nextToken=${token}`}`);
      seen.push(...page.ids);
      token = page.headers.get('x-next-token');
    } while (token !== null);
    expect(seen).toEqual(all);
  });

  it.each(['?limit=0', '?limit=101', '?limit=x', '?nextToken=', '?nextToken=!!', `?name=${'a'.repeat(300)}`])(
    'refuses %s',
    async (query) => {
      expect((await list(query)).status).toBe(400);
    },
  );

  it("never shows another team's", async () => {
    await make({ name: 'mine' });
    expect((await list('', api.otherKey)).ids).toEqual([]);
  });
});

describe('using snapshots', () => {
  it.each(['/sandboxes', '/v2/sandboxes'])('as the template of POST %s works by id and by name', async (path) => {
    const unnamed = await made();
    await make({ name: 'mine:v1' });
    const plainId = unnamed.replace(':default', '');
    for (const templateID of [unnamed, plainId, 'mine:v1', 'default/mine:v1', ' MINE:V1 ', `${api.teamId}/mine:v1`]) {
      const answer = await createFrom(templateID, path);
      expect([templateID, answer.status]).toEqual([templateID, 201]);
      expect(api.runner.snapshots.has(api.runner.creates.at(-1)?.snapshotId ?? '')).toBe(true);
    }
    expect((await createFrom('mine', path)).status).toBe(404);
  });

  it('shows the snapshot as template and the cause of the sandbox, after its source is gone', async () => {
    const snapshotID = await made({ name: 'mine' });
    await api.ask('DELETE', `/sandboxes/${id}`);
    const answer = await createFrom(snapshotID);
    const [snapshotId] = api.runner.snapshots.keys();
    expect(answer.json).toMatchObject({ templateID: snapshotId, alias: 'mine' });
    const { sandboxID } = answer.json as { sandboxID: string };
    expect((await api.ask('GET', `/sandboxes/${sandboxID}`)).json).toMatchObject({ cause: 'snapshot' });
  });

  it("is not possible with another team's key", async () => {
    const unnamed = await made();
    const named = await made({ name: 'mine' });
    for (const name of [unnamed, unnamed.replace(':default', ''), named, 'mine']) {
      expect((await createFrom(name, '/v2/sandboxes', api.otherKey)).status).toBe(404);
      for (const base of ['/templates', '/snapshots'])
        expect((await remove(name, base, api.otherKey)).status).toBe(404);
      const fork = `/snapshots/${encodeURIComponent(name)}/fork`;
      expect((await api.ask('POST', fork, { key: api.otherKey })).status).toBe(404);
    }
    expect((await list()).ids).toHaveLength(2);
  });

  it('as the source of a fork gives copies', async () => {
    const name = await made({ name: 'mine' });
    const answer = await api.ask('POST', `/snapshots/${encodeURIComponent(name)}/fork`, { body: { count: 4 } });
    expect([answer.status, (answer.json as object[]).length]).toEqual([201, 4]);
    expect((await api.ask('POST', '/snapshots/none/fork')).json).toEqual({
      code: 404,
      message: 'Snapshot "none" was not found.',
    });
  });

  it('gives the error of the runner when its memory does not fit this host', async () => {
    const name = await made({ name: 'mine' });
    const error = new SoulBoxError('state_incompatible', 'made by another isolation');
    api.runner.beforeCreate = () => Promise.reject(connectErrorFromError(error));
    expect((await createFrom(name)).json).toEqual({ code: 409, message: 'made by another isolation' });
  });
});

describe('deleting snapshots', () => {
  it.each(['/templates', '/snapshots'])('by DELETE %s works once', async (base) => {
    const name = await made({ name: 'mine' });
    expect((await remove(name, base)).status).toBe(204);
    expect((await remove(name, base)).status).toBe(404);
    expect(api.runner.snapshots.size).toBe(0);
    expect((await createFrom(name)).status).toBe(404);
  });

  it.each(['mine', 'mine:v1'])('works with the full name of %s as sent by Python clients up to 2.40', async (name) => {
    const full = await made({ name });
    expect(full).toMatch(/^default\/mine:/);
    expect((await api.ask('DELETE', `/templates/${full}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/templates/${full}`)).status).toBe(404);
    expect(api.runner.snapshots.size).toBe(0);
  });

  it('by 50 at once succeeds once', async () => {
    const name = await made();
    const answers = await Promise.all(Array.from({ length: 50 }, () => remove(name)));
    expect(answers.filter((answer) => answer.status === 204)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 404)).toHaveLength(49);
  });

  it('does not affect templates of the server', async () => {
    expect((await remove('base')).json).toMatchObject({ code: 403 });
    expect((await remove('base', '/snapshots')).status).toBe(404);
    expect((await remove('nope')).json).toEqual({ code: 404, message: 'Template "nope" was not found.' });
  });

  it('that the runner cannot do leaves the snapshot in place', async () => {
    const name = await made({ name: 'mine' });
    const away = connectErrorFromError(new SoulBoxError('host_not_ready', 'disk away'));
    api.runner.beforeStep = () => Promise.reject(away);
    expect((await remove(name)).status).toBe(503);
    api.runner.beforeStep = () => Promise.resolve();
    expect((await list()).ids).toEqual([name]);
    expect((await remove(name)).status).toBe(204);
  });
});

describe('after a kill of the server', () => {
  const intent = (snapshotId: string, name: string) => ({
    ...{ id: snapshotId, teamId: api.teamId, sandboxId: id, templateId: 'tbase', name, tag: 'default', createdAt: 1 },
    ...{ cpuCount: 2, memoryMb: 1024, diskSizeMb: 10_240, isolation: 'container' },
  });
  const plantInRunner = (snapshotId: string) =>
    api.runner.client.makeSnapshot({ sandboxId: id, snapshotId }).then(() => undefined);

  it('an intent becomes a named snapshot if the runner has it, and is otherwise dropped', async () => {
    await api.records.snapshots.begin(intent('sdone', 'mine'), 100);
    await api.records.snapshots.begin(intent('snever', 'gone'), 100);
    await plantInRunner('sdone');
    await api.restart();
    await until(async () => (await api.records.snapshots.listAll()).length === 1);
    expect((await list()).ids).toEqual(['default/mine:default']);
  });

  it('deletions are completed, lost snapshots removed, and snapshots without a row adopted', async () => {
    const name = await made({ name: 'deleted' });
    const [deletedId = ''] = api.runner.snapshots.keys();
    await api.records.snapshots.beginDelete(deletedId);
    await make({ name: 'lost' });
    api.runner.snapshots.delete([...api.runner.snapshots.keys()].at(-1) ?? '');
    await plantInRunner('sstray');
    await api.restart();
    await until(async () => (await list()).ids.join() === 'sstray:default');
    expect([...api.runner.snapshots.keys()]).toEqual(['sstray']);
    expect((await createFrom(name)).status).toBe(404);
  });

  it('snapshots of a current request are skipped while the event stream reconnects', async () => {
    let proceed = (): void => undefined;
    api.runner.beforeStep = (call) =>
      call === 'makeSnapshot' ? new Promise((resolve) => (proceed = resolve)) : Promise.resolve();
    const making = make({ name: 'mine' });
    await until(() => api.runner.stateRequests.some(({ call }) => call === 'makeSnapshot'));
    const before = api.runner.stateRequests.length;
    api.runner.cutStreams();
    await until(() => api.runner.stateRequests.slice(before).some(({ call }) => call === 'listSnapshots'));
    proceed();
    expect((await making).status).toBe(201);
    expect((await list()).ids).toEqual(['default/mine:default']);
  });
});
