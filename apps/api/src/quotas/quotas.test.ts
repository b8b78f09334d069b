import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { teamLimits } from '@soulbox/contract';
import type { ApiConfig } from '../config.ts';
import { adminToken, metricsToken, startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi;
let now: number;
const start = async (config: Partial<ApiConfig> = {}): Promise<void> => {
  api = await startTestApi({ config, clock: { now: () => now } });
};
beforeEach(() => {
  now = Date.now();
});
afterEach(() => api[Symbol.asyncDispose]());

const create = async (key?: string): Promise<Answer> =>
  await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' }, ...(key === undefined ? {} : { key }) });
const idOf = (answer: Answer): string => (answer.json as { sandboxID: string }).sandboxID;
const setLimits = async (body: object, teamId = api.teamId, key = adminToken): Promise<Answer> =>
  await api.ask('PATCH', `/teams/${teamId}/limits`, { body, key });

/** Checks the form of E2B's clients: status, `Retry-After` in whole seconds, and the limit in the message. */
function expectRefusal(answer: Answer, limit: string, retryAfter: number): void {
  expect([answer.status, (answer.json as { code: number }).code]).toEqual([429, 429]);
  expect((answer.json as { message: string }).message).toContain(limit);
  expect((answer.json as { message: string }).message).toContain('soulbox team limits');
  expect(answer.headers.get('retry-after')).toBe(String(retryAfter));
}

describe('limits of a team', () => {
  it('on running sandboxes apply at once when they are changed, also by another process, and to this team only', async () => {
    await start();
    expect((await create()).status).toBe(201);
    await setLimits({ sandboxes: 1 });
    expectRefusal(await create(), 'concurrent sandboxes (1)', 1);
    expect((await create(api.otherKey)).status).toBe(201);
    await api.records.quotas.setLimits(api.teamId, { sandboxes: 2 });
    expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(429);
    await setLimits({ sandboxes: null });
    expect((await create()).status).toBe(201);
  });

  it('on memory count running sandboxes, creates, forks and resumes', async () => {
    await start({ teamMemoryMb: 2048 });
    const first = idOf(await create());
    const second = idOf(await create());
    expectRefusal(await create(), 'allowed 2048 MiB', 1);
    expectRefusal(await api.ask('POST', `/sandboxes/${first}/fork`, { body: { count: 1 } }), '2048 MiB', 1);
    expect((await api.ask('POST', `/sandboxes/${second}/pause`)).status).toBe(204);
    expect((await create()).status).toBe(201);
    expectRefusal(await api.ask('POST', `/sandboxes/${second}/connect`, { body: { timeout: 9 } }), '2048 MiB', 1);
    expect(await api.records.quotas.readRunningMemoryMb(api.teamId, 0)).toBe(2048);
  });

  it('on creates are a bucket: Retry-After is the time until the next token', async () => {
    await start({ teamCreateRate: 2, teamCreateBurst: 3 });
    for (let count = 0; count < 3; count++) expect((await create()).status).toBe(201);
    expectRefusal(await create(), 'creates_per_second', 1);
    expect((await create(api.otherKey)).status).toBe(201);
    now += 1000;
    for (let count = 0; count < 2; count++) expect((await create()).status).toBe(201);
    const fork = { body: { count: 3 } };
    const [id] = api.runner.sandboxes.keys();
    expectRefusal(await api.ask('POST', `/sandboxes/${id}/fork`, fork), 'creates_per_second', 2);
    expect(api.runner.sandboxes.size).toBe(6);
  });

  it('on requests are a bucket for all keys of the team, and no other team', async () => {
    await start({ teamRequestRate: 1, teamRequestBurst: 2 });
    const list = async (key?: string): Promise<Answer> => await api.ask('GET', '/api-keys', key ? { key } : {});
    await list();
    const { key } = (await api.ask('POST', '/api-keys', { body: { name: 'second' } })).json as { key: string };
    for (const each of [undefined, key]) expectRefusal(await list(each), 'requests_per_second', 1);
    expect((await list(api.otherKey)).status).toBe(200);
    expect((await api.ask('GET', '/health', { key: null })).status).toBe(204);
    now += 1000;
    expect((await list()).status).toBe(200);
  });

  it('on snapshots and on stored data refuse a snapshot', async () => {
    await start();
    const id = idOf(await create());
    await setLimits({ snapshots: 0 });
    expectRefusal(await api.ask('POST', `/sandboxes/${id}/snapshots`), 'snapshots (0)', 60);
    await setLimits({ snapshots: 'default', storage_mb: 0 });
    expectRefusal(await api.ask('POST', `/sandboxes/${id}/snapshots`), 'storage_mb', 60);
    await setLimits({ storage_mb: 'default' });
    expect((await api.ask('POST', `/sandboxes/${id}/snapshots`)).status).toBe(201);
  });

  it('on templates and uploads refuse what exceeds them', async () => {
    await start();
    await setLimits({ templates: 0 });
    const build = async (): Promise<Answer> => await api.ask('POST', '/v3/templates', { body: { name: 'mine' } });
    expectRefusal(await build(), 'templates (0)', 60);
    await setLimits({ templates: 1, upload_mb: 0 });
    const { templateID } = (await build()).json as { templateID: string };
    const hash = 'a'.repeat(64);
    const upload = async (): Promise<Answer> => {
      const link = await api.ask('GET', `/templates/${templateID}/files/${hash}`);
      const { url } = link.json as { url: string };
      const { pathname, search } = new URL(url);
      return await api.ask('PUT', pathname + search, { body: 'x', key: null });
    };
    expectRefusal(await upload(), 'limit of 0 MiB', 60);
    await setLimits({ upload_mb: 1, storage_mb: 0 });
    expectRefusal(await upload(), 'storage_mb', 60);
  });

  it('on the disk reach the runner', async () => {
    await start();
    await setLimits({ disk_mb: 3, paused_memory_mb: null });
    await create();
    expect(api.runner.creates.at(-1)?.teamLimits).toMatchObject({
      diskBytes: 3n * 2n ** 20n,
      pausedMemoryBytes: 2n ** 64n - 1n,
    });
  });

  it('are shown to their team with whether they are its own, and to no other', async () => {
    await start();
    await setLimits({ sandboxes: 5, disk_mb: null });
    const shown = (await api.ask('GET', `/teams/${api.teamId}/limits`)).json as Record<string, object>;
    expect(shown).toMatchObject({
      sandboxes: { value: 5, isDefault: false },
      disk_mb: { value: null, isDefault: false },
      snapshots: { value: 1000, isDefault: true },
      cpu_seconds_per_day: { value: null, isDefault: true },
    });
    expect((await api.ask('GET', `/teams/${api.teamId}/limits`, { key: api.otherKey })).status).toBe(404);
    const metrics = (await api.ask('GET', '/metrics')).text;
    expect(metrics).toContain('soulbox_team_limit{what="sandboxes"} 5');
    expect(metrics).toContain('soulbox_team_used{what="sandboxes"} 0');
    expect(metrics).not.toContain('soulbox_team_limit{what="disk_bytes"}');
  });

  it('are changed only with the administrator’s token: not with a key, nor with the token for metrics', async () => {
    await start();
    for (const key of [api.key, metricsToken, 'wrong', null])
      expect((await api.ask('PATCH', `/teams/${api.teamId}/limits`, { body: { sandboxes: 5 }, key })).status).toBe(401);
    expect((await api.records.quotas.findLimits(api.teamId)).size).toBe(0);
    expect((await api.ask('GET', '/sandboxes', { key: adminToken })).status).toBe(401);
  });

  it.each([
    { sandboxes: -1 },
    { sandboxes: 1.5 },
    { sandboxes: '5' },
    { sandboxes: 100_001 },
    { sandboxen: 5 },
    { sandboxes: true },
    [],
  ])('are not changed by %j', async (body) => {
    await start();
    expect((await setLimits(body)).status).toBe(400);
  });

  it('of an unknown team are not changed, and a change is in the audit log of the team', async () => {
    await start();
    expect((await setLimits({ sandboxes: 5 }, 'nobody')).status).toBe(404);
    await setLimits({ sandboxes: 5 });
    const records = await api.ask('GET', '/audit/records');
    expect(records.text).toContain('team.set-limits');
    expect(records.text).toContain('admin-token');
  });

  it('are all in docs/limits.md', async () => {
    await start();
    const page = await readFile(join(import.meta.dirname, '../../../../docs/limits.md'), 'utf8');
    for (const name of Object.keys(teamLimits)) expect(page).toContain(`| \`${name}\` |`);
  });
});
