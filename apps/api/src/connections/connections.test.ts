import { SoulBoxError } from '@soulbox/base';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
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
    ...{ method: '', path: '', count: 1 },
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

it('says for how many connections an entry stands, and learns nothing from it', async () => {
  const sandbox = await create();
  await record(sandbox, 1, { protocol: 'other', address: '', name: '', port: 0, reason: 'not_logged', count: 12 });
  await record(sandbox, 1, { protocol: 'icmp', name: '', port: 0 });
  const { json } = await api.ask('GET', `/sandboxes/${sandbox}/connections`);
  expect(json).toMatchObject([
    { protocol: 'icmp', address: '1.2.3.4' },
    { reason: 'not_logged', count: 12 },
  ]);
  expect((json as { count?: number }[])[0]).not.toHaveProperty('count');
  const learned = await api.ask('GET', `/sandboxes/${sandbox}/network/learned`);
  expect(learned.json).toMatchObject({ allowOut: [], connections: 0 });
});

describe('connections that the runner keeps', () => {
  const recordOf = async (sandboxId: string, more: Partial<EgressRecord> = {}): Promise<EgressRecord> => {
    const team = (await api.records.teams.list()).find(({ isDefault }) => isDefault);
    return {
      ...{ sandboxId, teamId: team?.id ?? '', startedAtMs: 1000, durationMs: 3, protocol: 'udp', name: '', port: 53 },
      ...{ address: '192.0.2.7', rule: '', isAllowed: true, reason: '', bytesSent: 1, bytesReceived: 2 },
      ...{ method: '', path: '', ...more },
    };
  };

  it('are recorded once, and confirmed by the next question', async () => {
    const sandbox = await create();
    const batch = [await recordOf(sandbox), await recordOf(sandbox, { reason: 'not_logged', count: 9 })];
    const number = api.runner.connections.give(batch);
    await until(() => api.runner.connections.orders.some(({ recorded }) => recorded === number));
    const { json } = await api.ask('GET', `/sandboxes/${sandbox}/connections`);
    expect(json).toMatchObject([{ count: 9 }, { protocol: 'udp', address: '192.0.2.7', port: 53 }]);
    expect(json).toHaveLength(2);
  });

  it('are given back as a number while there is no room on the disk', async () => {
    const { connections: log } = api.records;
    const add = log.add.bind(log);
    log.add = () => Promise.reject(new SoulBoxError('disk_full', 'no room'));
    const number = api.runner.connections.give([await recordOf('some')]);
    await until(async () => (await api.readLog()).includes('connections of sandboxes could not be recorded'));
    log.add = add;
    await until(() => api.runner.connections.orders.some(({ refused }) => refused === number));
  });

  it('are asked for again after any other failure', async () => {
    const sandbox = await create();
    const { connections: log } = api.records;
    const add = log.add.bind(log);
    log.add = () => Promise.reject(new Error('broken'));
    const { connections } = api.runner;
    const number = connections.give([await recordOf(sandbox)]);
    await until(async () => (await api.readLog()).includes('connections of sandboxes could not be recorded'));
    log.add = add;
    await until(() => api.runner.connections.orders.some(({ recorded }) => recorded === number));
    expect(connections.orders.filter(({ refused }) => refused !== 0n)).toEqual([]);
    expect((await api.ask('GET', `/sandboxes/${sandbox}/connections`)).json).toHaveLength(1);
  });
});
