import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import type { SandboxInfo, SandboxListOpts } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import '../harness/server.ts';

const run = randomUUID();
const sandboxes: Sandbox[] = [];

beforeAll(async () => {
  for (const name of ['a', 'b & c=d%', 'c']) {
    sandboxes.push(await Sandbox.create({ metadata: { run, name } }));
    await sleep(5);
  }
});
afterAll(async () => {
  await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
});

const ids = (): string[] => sandboxes.map(({ sandboxId }) => sandboxId);

async function listAll(options: SandboxListOpts): Promise<SandboxInfo[]> {
  const paginator = Sandbox.list(options);
  const found: SandboxInfo[] = [];
  while (paginator.hasNext) found.push(...(await paginator.nextItems()));
  return found;
}

const mine = { query: { metadata: { run } } };

test('a metadata filter finds exactly the sandboxes that have all pairs', async () => {
  expect((await listAll(mine)).map(({ sandboxId }) => sandboxId).sort()).toEqual(ids().sort());
  const one = await listAll({ query: { metadata: { run, name: 'b & c=d%' } } });
  expect(one.map(({ sandboxId }) => sandboxId)).toEqual([ids()[1]]);
  expect(await listAll({ query: { metadata: { run, name: 'nobody' } } })).toEqual([]);
});

test('the newest sandboxes come first, or last in ascending order', async () => {
  expect((await listAll(mine)).map(({ sandboxId }) => sandboxId)).toEqual(ids().reverse());
  expect((await listAll({ ...mine, order: 'asc' })).map(({ sandboxId }) => sandboxId)).toEqual(ids());
});

test.each(['asc', 'desc'] as const)('pages of one return every sandbox once, %s', async (order) => {
  const paginator = Sandbox.list({ ...mine, order, limit: 1 });
  const found: string[] = [];
  while (paginator.hasNext) {
    const page = await paginator.nextItems();
    expect(page.length).toBeLessThanOrEqual(1);
    found.push(...page.map(({ sandboxId }) => sandboxId));
  }
  expect(found).toEqual(order === 'asc' ? ids() : ids().reverse());
});

test('another client can continue with a page token', async () => {
  const first = Sandbox.list({ ...mine, limit: 2 });
  await first.nextItems();
  const { nextToken } = first;
  if (nextToken === undefined) throw new Error('no token');
  const rest = await listAll({ ...mine, limit: 2, nextToken });
  expect(rest.map(({ sandboxId }) => sandboxId)).toEqual([ids()[0]]);
});

test('state, startedAfter and template narrow the list', async () => {
  const infos = await listAll({ ...mine, order: 'asc' });
  expect(await listAll({ query: { ...mine.query, state: ['paused'] } })).toEqual([]);
  expect(await listAll({ query: { ...mine.query, state: ['running', 'paused'] } })).toHaveLength(3);
  const second = infos[1]?.startedAt;
  if (second === undefined) throw new Error('three sandboxes were made');
  const later = await listAll({ query: { ...mine.query, startedAfter: second } });
  expect(later.map(({ sandboxId }) => sandboxId)).toEqual([ids()[2], ids()[1]]);
  expect(await listAll({ query: { ...mine.query, template: 'base' } })).toHaveLength(3);
  expect(await listAll({ query: { ...mine.query, template: infos[0]?.templateId ?? '' } })).toHaveLength(3);
  expect(await listAll({ query: { ...mine.query, template: 'no-such-template' } })).toEqual([]);
});

test('a listed sandbox has everything that the client shows', async () => {
  const [newest] = await listAll(mine);
  expect(newest).toMatchObject({ name: 'base', state: 'running', metadata: { run, name: 'c' }, envdVersion: '0.6.13' });
});

test('a header has the number of running sandboxes on all pages', async () => {
  const { headers, json } = await askApi('GET', `/v2/sandboxes?limit=1&metadata=${encodeURIComponent(`run=${run}`)}`);
  expect(json).toHaveLength(1);
  expect(headers.get('x-total-running')).toBe('3');
  expect(headers.get('x-next-token')).toMatch(/./);
});

test('the v1 list shows running sandboxes', async () => {
  const { status, json } = await askApi('GET', `/sandboxes?metadata=${encodeURIComponent(`run=${run}`)}`);
  expect(status).toBe(200);
  expect((json as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID).sort()).toEqual(ids().sort());
});

test.each([
  'limit=0',
  'limit=101',
  'limit=-1',
  'limit=1.5',
  'limit=x',
  'nextToken=%00',
  'nextToken=nonsense',
  'order=sideways',
  'state=dead',
  'startedAfter=yesterday',
  'template=base:tag',
])('the query %s is refused with 400', async (query) => {
  const { status, json } = await askApi('GET', `/v2/sandboxes?${query}`);
  expect([status, json]).toEqual([400, { code: 400, message: expect.any(String) as string }]);
});
