import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

async function create(): Promise<string> {
  const { json } = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  return (json as { sandboxID: string }).sandboxID;
}

async function record(sandboxId: string, count: number, more: Record<string, unknown> = {}): Promise<void> {
  const team = (await api.records.teams.list()).find(({ isDefault }) => isDefault);
  const one = {
    ...{ teamId: team?.id ?? '', sandboxId, startedAt: 1_000, durationMs: 2, protocol: 'tls', name: 'a.io' },
    ...{ address: '1.2.3.4', port: 443, rule: '*.io', isAllowed: true, reason: '', bytesSent: 3, bytesReceived: 4 },
    ...{ method: '', path: '' },
    ...more,
  };
  await api.records.connections.add(
    Array.from({ length: count }, () => one),
    1000,
  );
}

it('lists the connections of a sandbox in pages, newest first, and only to its team', async () => {
  const sandbox = await create();
  await record(sandbox, 2);
  await record(sandbox, 1, { isAllowed: false, reason: 'denied', name: '', rule: '', method: 'GET', path: '/x' });
  const path = `/sandboxes/${sandbox}/connections`;
  const first = await api.ask('GET', `${path}?limit=2`);
  expect(first.json).toEqual([
    {
      ...{ sequence: 3, sandboxID: sandbox, startedAt: '1970-01-01T00:00:01.000Z', durationMs: 2, protocol: 'tls' },
      ...{ address: '1.2.3.4', port: 443, allowed: false, reason: 'denied', bytesSent: 3, bytesReceived: 4 },
      ...{ method: 'GET', path: '/x' },
    },
    expect.objectContaining({ sequence: 2, name: 'a.io', rule: '*.io', allowed: true }),
  ]);
  expect(first.headers.get('x-next-before')).toBe('2');
  const last = await api.ask('GET', `${path}?limit=2&before=2`);
  expect((last.json as { sequence: number }[]).map(({ sequence }) => sequence)).toEqual([1]);
  expect(last.headers.get('x-next-before')).toBeNull();
  expect((await api.ask('GET', `${path}?allowed=false`)).json).toHaveLength(1);
  expect((await api.ask('GET', path, { key: api.otherKey })).json).toEqual([]);
  for (const query of ['limit=0', 'limit=1001', 'before=x', 'allowed=maybe'])
    expect((await api.ask('GET', `${path}?${query}`)).status, query).toBe(400);
});

it('writes a policy from the allowed connections', async () => {
  const sandbox = await create();
  const path = `/sandboxes/${sandbox}/network/learned`;
  expect((await api.ask('GET', path)).json).toEqual({
    ...{ allowOut: [], denyOut: ['0.0.0.0/0'] },
    ...{ connections: 0, isComplete: true },
  });
  await record(sandbox, 3);
  await record(sandbox, 2, { port: 80 });
  await record(sandbox, 1, { port: 8443 });
  await record(sandbox, 1, { name: '', port: 22 });
  await record(sandbox, 9, { name: 'evil.io', isAllowed: false });
  expect((await api.ask('GET', path)).json).toEqual({
    ...{ allowOut: ['a.io', '1.2.3.4:22', 'a.io:8443'], denyOut: ['0.0.0.0/0'] },
    ...{ connections: 7, isComplete: true },
  });
  expect((await api.ask('GET', path, { key: api.otherKey })).status).toBe(404);
});

it('does not pretend that a policy with too many destinations is complete', async () => {
  const sandbox = await create();
  for (let port = 1; port <= 1001; port += 1) await record(sandbox, 1, { port: 1000 + port, name: '' });
  const { json } = await api.ask('GET', `/sandboxes/${sandbox}/network/learned`);
  expect(json).toMatchObject({ isComplete: false });
  expect((json as { allowOut: string[] }).allowOut).toHaveLength(1000);
});
