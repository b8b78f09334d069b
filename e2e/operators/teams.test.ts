import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AuthenticationError, Sandbox, SandboxNotFoundError, Template } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { createStrangerKey } from '../harness/stranger.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
let strangerKey = '';

beforeAll(async () => {
  strangerKey = await createStrangerKey('strangers');
});

test("another team's key works for its own sandboxes and sees none of ours", async () => {
  const stranger = { apiKey: strangerKey };
  const ours = await createSandbox();
  const theirs = await Sandbox.create(stranger);
  const listed = await Sandbox.list(stranger).nextItems();
  expect(listed.map(({ sandboxId }) => sandboxId)).toEqual([theirs.sandboxId]);
  expect(await theirs.kill()).toBe(true);

  const id = ours.sandboxId;
  await expect(Sandbox.getInfo(id, stranger)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.connect(id, stranger)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.setTimeout(id, 0, stranger)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.getMetrics(id, stranger)).rejects.toThrow(SandboxNotFoundError);
  expect(await Sandbox.kill(id, stranger)).toBe(false);
  for (const path of [`/sandboxes/${id}/logs`, `/v2/sandboxes/${id}/logs`])
    expect((await askApi('GET', path, undefined, { 'x-api-key': strangerKey })).status).toBe(404);
  const program = { code: 'true', language: 'bash' };
  expect((await askApi('POST', `/sandboxes/${id}/run`, program, { 'x-api-key': strangerKey })).status).toBe(404);
  const many = await askApi('GET', `/sandboxes/metrics?sandbox_ids=${id}`, undefined, { 'x-api-key': strangerKey });
  expect(JSON.stringify(many.json)).not.toContain(id);
  expect(await ours.isRunning()).toBe(true);
});

test('a forced deletion of a team deletes its keys, sandboxes, snapshots and templates, and nothing of other teams', async () => {
  const soulbox = async (...args: string[]): Promise<Output> =>
    await runNode([cliMain, ...args, '--data-dir', server.dataDirectory], {});
  expect((await soulbox('team', 'create', 'shortlived')).code).toBe(0);
  const apiKey = (await soulbox('key', 'create', 'ci', '--team', 'shortlived')).stdout.trim();
  const ours = await createSandbox();
  const [running, paused] = await Promise.all([Sandbox.create({ apiKey }), Sandbox.create({ apiKey })]);
  await running.createSnapshot();
  await paused.pause();
  await Template.build(Template().fromTemplate('base').runCmd('true'), 'shortlived-template', { apiKey });

  const refused = await soulbox('team', 'delete', 'shortlived');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('has 2 sandboxes, 1 snapshots, 1 templates');
  expect(await running.isRunning()).toBe(true);

  expect(await soulbox('team', 'delete', 'shortlived', '--force')).toMatchObject({ code: 0, stderr: '' });
  await expect(Sandbox.list({ apiKey }).nextItems()).rejects.toThrow(AuthenticationError);
  await expect
    .poll(async () => await readdir(join(server.dataDirectory, 'sandboxes')))
    .not.toContain(`${running.sandboxId}.json`);
  expect(await readdir(join(server.dataDirectory, 'sandboxes'))).not.toContain(`${paused.sandboxId}.json`);
  expect((await soulbox('team', 'list')).stdout).not.toContain('shortlived');
  expect(await ours.isRunning()).toBe(true);
});

test('a key is created, used, listed without its value, renamed and revoked', async () => {
  const made = await askApi('POST', '/api-keys', { name: 'for e2e' });
  expect(made.status).toBe(201);
  const { id, key } = made.json as { id: string; key: string };
  expect(key).toMatch(/^e2b_[0-9a-f]{40}$/);
  expect(Array.isArray(await Sandbox.list({ apiKey: key }).nextItems())).toBe(true);

  const listed = await askApi('GET', '/api-keys');
  expect(JSON.stringify(listed.json)).not.toContain(key);
  expect((listed.json as { id: string; name: string }[]).find((entry) => entry.id === id)?.name).toBe('for e2e');
  expect((await askApi('PATCH', `/api-keys/${id}`, { name: 'renamed' })).status).toBeLessThan(300);

  const foreign = await askApi('DELETE', `/api-keys/${id}`, undefined, { 'x-api-key': strangerKey });
  expect(foreign.status).toBe(404);
  expect((await askApi('DELETE', `/api-keys/${id}`)).status).toBe(204);
  expect((await askApi('DELETE', `/api-keys/${id}`)).status).toBe(404);
  await expect(Sandbox.list({ apiKey: key }).nextItems()).rejects.toThrow(AuthenticationError);
});

test.each([{}, { name: '' }, { name: 7 }, { name: 'x'.repeat(10_000) }, { name: 'a\u0000b' }, { name: 'a\nb' }])(
  'a key named %j is refused',
  async (body) => {
    const { status, json } = await askApi('POST', '/api-keys', body);
    expect([status, json]).toEqual([400, { code: 400, message: expect.any(String) as string }]);
  },
);

test('the public OpenAPI document has every route', async () => {
  const { status, json } = await askApi('GET', '/openapi.json', undefined, { 'x-api-key': '' });
  expect(status).toBe(200);
  const { paths, openapi } = json as { openapi: string; paths: Record<string, Record<string, object>> };
  expect(openapi).toMatch(/^3\./);
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining([
      '/sandboxes',
      '/v2/sandboxes',
      '/sandboxes/{sandboxID}',
      '/v2/sandboxes/{sandboxID}/connect',
    ]),
  );
});
