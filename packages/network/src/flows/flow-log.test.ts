import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '@soulbox/base/logger';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openNetwork } from '../network.ts';
import type { EgressPolicy } from '../policy.ts';
import { openNetworkLab } from '../testing/network-lab.ts';
import type { NetworkLab } from '../testing/network-lab.ts';
import { openFlowLog } from './flow-log.ts';
import type { FlowLog, FlowRecord } from './flow-log.ts';

const instance = 17;
const outsideHost = '203.0.113.42';
const hostAddress = '203.0.113.33';

type Owned = FlowRecord & { readonly owner: EgressPolicy & { readonly who?: string } };

const folder = mkdtempSync(join(tmpdir(), 'flow-log-'));
const markFile = join(folder, 'read');
let lab: NetworkLab;
let flowLog: FlowLog;
let records: Owned[] = [];

const open = (): FlowLog => {
  const opened = openFlowLog({
    ...{ instance, logger: silentLogger, markFile },
    onRecord: (record, owner) => void records.push({ ...record, owner }),
  });
  if (opened === undefined) throw new Error('this kernel tells nothing about connections');
  return opened;
};
const own = (who: string, policy: EgressPolicy = {}): EgressPolicy => ({ ...policy, ...{ who } });

beforeAll(async () => {
  flowLog = open();
  flowLog.noteAdopted();
  lab = await openNetworkLab({
    ...{ instance, resolver: '192.168.78.53', flowLog },
    outside: { host: `${hostAddress}/28`, addresses: [`${outsideHost}/28`] },
    inside: { host: '192.168.78.1/24', addresses: ['192.168.78.53/24'] },
  });
}, 60_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  flowLog[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  await lab.network.setPolicy(1, own('sandbox'));
  await lab.network.setPolicy(258, own('neighbor'));
  records = [];
});

/** Waits until there are `count` records with these members, and returns them. */
async function seen(count: number, like: Partial<FlowRecord>): Promise<Owned[]> {
  const found = (): Owned[] =>
    records.filter((record) => Object.entries(like).every(([key, value]) => record[key as keyof FlowRecord] === value));
  await expect.poll(() => found().length, { timeout: 8000 }).toBe(count);
  return found();
}

describe('the log of connections', () => {
  test('has a TCP connection soon after its end, with its time, destination and bytes', async () => {
    const before = Date.now();
    await lab.sandbox.ask({ op: 'upload', host: outsideHost, port: 9000, bytes: 1_000_000 });
    const after = Date.now();
    const [record] = await seen(1, { port: 9000 });
    expect(record).toMatchObject({
      ...{ protocol: 'tcp', address: outsideHost, rule: '', isAllowed: true, reason: '', count: 1 },
      owner: { who: 'sandbox' },
    });
    expect(record?.startedAtMs).toBeGreaterThanOrEqual(before - 1);
    expect(record?.startedAtMs).toBeLessThanOrEqual(after);
    // The kernel says when it ended (since 6.14); before, it is when that was read.
    expect((record?.startedAtMs ?? 0) + (record?.durationMs ?? 0)).toBeLessThanOrEqual(after + 400);
    expect(record?.bytesSent).toBeGreaterThan(1_000_000);
    expect(record?.bytesSent).toBeLessThan(1_100_000);
    expect(record?.bytesReceived).toBeGreaterThan(0);
    expect(Date.now() - after).toBeLessThan(5000);
  });

  test('has connections that nobody accepted, and nothing of an idle one until it ends', async () => {
    await lab.sandbox.ask({ op: 'hold', name: 'idle', host: outsideHost, port: 8080 });
    expect(await lab.sandbox.ask({ op: 'connect', host: outsideHost, port: 4444 })).toBe('ECONNREFUSED');
    await seen(1, { port: 4444, isAllowed: true });
    expect(records).toHaveLength(1);
    expect(await lab.sandbox.ask({ op: 'ping', name: 'idle' })).toBe('alive');
  });

  test('names the entry that decided, and why something was refused', async () => {
    const entry = `${outsideHost}:8080`;
    await lab.network.setPolicy(258, own('neighbor', { allowOut: [entry], denyOut: ['0.0.0.0/0'] }));
    await lab.network.setPolicy(1, own('sandbox', { denyOut: [`${outsideHost}:9000`] }));
    await lab.neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 });
    await lab.neighbor.ask({ op: 'connect', host: outsideHost, port: 9000 });
    await lab.neighbor.ask({ op: 'sendUdp', host: outsideHost, port: 53 });
    await lab.sandbox.ask({ op: 'connect', host: outsideHost, port: 9000 });
    await lab.sandbox.ask({ op: 'connect', host: '10.1.2.3', port: 80 });
    await lab.sandbox.ask({ op: 'connect', host: hostAddress, port: 22 });
    const of = async (like: Partial<FlowRecord>): Promise<unknown> => {
      const [{ owner, protocol, rule, reason } = { owner: {}, protocol: '', rule: '', reason: '' }] = await seen(
        1,
        like,
      );
      return [(owner as Owned['owner']).who, protocol, rule, reason];
    };
    expect(await of({ port: 8080, isAllowed: true })).toEqual(['neighbor', 'tcp', entry, '']);
    expect(await of({ port: 9000, rule: '0.0.0.0/0' })).toEqual(['neighbor', 'tcp', '0.0.0.0/0', 'denied']);
    expect(await of({ port: 53, isAllowed: false })).toEqual(['neighbor', 'udp', '0.0.0.0/0', 'denied']);
    expect(await of({ rule: `${outsideHost}:9000` })).toEqual(['sandbox', 'tcp', `${outsideHost}:9000`, 'denied']);
    expect(await of({ address: '10.1.2.3' })).toEqual(['sandbox', 'tcp', '', 'forbidden_address']);
    expect(await of({ address: hostAddress, port: 22 })).toEqual(['sandbox', 'tcp', '', 'forbidden_address']);
    expect(records).toHaveLength(6);
  });

  test('has a connection with the policy of the moment at which it began', async () => {
    await lab.network.setPolicy(258, own('before', { allowOut: ['203.0.113.0/24'], denyOut: ['0.0.0.0/0'] }));
    await lab.neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 });
    await lab.network.setPolicy(258, own('after', { allowInternetAccess: false }));
    const [record] = await seen(1, { port: 8080 });
    expect(record).toMatchObject({ rule: '203.0.113.0/24', owner: { who: 'before' } });
  });

  test('never gives the next owner of a slot what the previous one did', async () => {
    const [old, next] = [await lab.start(), await lab.start()];
    await lab.network.attach(20, old.path, own('old', { denyOut: ['203.0.113.41'] }));
    await old.ask({ op: 'hold', name: 'mine', host: outsideHost, port: 8080 });
    await old.ask({ op: 'sendUdp', host: outsideHost, port: 53 });
    await old.ask({ op: 'connect', host: '203.0.113.41', port: 80 });
    await lab.network.detach(20);
    await lab.network.attach(20, next.path, own('next'));
    // They are there when the slot is free, also those that were open.
    expect(records.map(({ protocol, port, owner: { who } }) => [protocol, port, who]).sort()).toEqual([
      ['tcp', 80, 'old'],
      ['tcp', 8080, 'old'],
      ['udp', 53, 'old'],
    ]);
    await next.ask({ op: 'connect', host: outsideHost, port: 8080 });
    await lab.network.detach(20);
    expect(records.at(-1)).toMatchObject({ port: 8080, owner: { who: 'next' } });
    expect(records).toHaveLength(4);
  });

  test('counts what one sandbox does too often, and still has all of another', async () => {
    const opened = Number(await lab.sandbox.ask({ op: 'churn', host: outsideHost, port: 8080, count: 3000 }));
    const refused = await lab.sandbox.ask({ op: 'churn', host: '10.1.2.3', port: 80, count: 1000 });
    expect([opened, refused]).toEqual([3000, '0']);
    await lab.neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 });
    const total = (isAllowed: boolean): number =>
      records
        .filter((record) => record.isAllowed === isAllowed && record.owner.who === 'sandbox')
        .reduce((sum, { count }) => sum + count, 0);
    const ofNeighbor = (): number => records.filter(({ owner }) => owner.who === 'neighbor').length;
    // The records of different sandboxes come in any order.
    await expect
      .poll(() => [total(true), total(false), ofNeighbor()], { timeout: 15_000, interval: 200 })
      .toEqual([3000, 1000, 1]);
    const sums = records.filter(({ reason }) => reason === 'not_logged');
    expect(new Set(sums.map(({ isAllowed }) => isAllowed))).toEqual(new Set([true, false]));
    expect(records.length - sums.length).toBeLessThan(2600);
    // A forbidden destination refuses at once, so that the limit of open connections was never reached.
    expect(records.filter(({ reason }) => reason === 'connection_limit')).toEqual([]);
  }, 40_000);

  test('takes a flow that nobody answers for one connection, however many packets it has', async () => {
    const silent = await lab.start();
    await lab.network.attach(21, silent.path, own('silent'));
    const sent = Number(await silent.ask({ op: 'floodUdp', host: outsideHost, port: 7, ms: 700 }));
    // More than the log tells of one sandbox.
    expect(sent).toBeGreaterThan(1200);
    await silent.ask({ op: 'connect', host: outsideHost, port: 8080 });
    await lab.network.detach(21);
    const told = records.filter(({ owner }) => owner.who === 'silent');
    expect(told.map(({ protocol, reason, count }) => [protocol, reason, count]).sort()).toEqual([
      ['tcp', '', 1],
      ['udp', '', 1],
    ]);
  });

  test('tells equal refused datagrams once', async () => {
    await lab.network.setPolicy(258, own('neighbor', { allowInternetAccess: false }));
    for (let round = 0; round < 5; round += 1)
      await lab.neighbor.ask({ op: 'sendUdp', host: outsideHost, port: 123, timeoutMs: 20 });
    await lab.neighbor.ask({ op: 'sendUdp', host: outsideHost, port: 124, timeoutMs: 20 });
    await seen(1, { port: 124 });
    await seen(1, { port: 123 });
  });

  test('says so when a server takes over that has not seen what came before', async () => {
    await lab.sandbox.ask({ op: 'hold', name: 'long', host: outsideHost, port: 8080 });
    const closedAt = Date.now();
    flowLog[Symbol.dispose]();
    await sleep(300);
    flowLog = open();
    const network = await openNetwork({ ...lab.options, flowLog });
    await network.setPolicy(1, own('adopted'));
    const [gap] = await seen(1, { reason: 'log_gap', isAllowed: true });
    const { startedAtMs: since = 0, durationMs = 0 } = gap ?? {};
    expect(Math.abs(since - closedAt)).toBeLessThan(1500);
    expect(since + durationMs).toBeGreaterThanOrEqual(closedAt + 300);
    await network.setPolicy(1, own('adopted'));
    // A connection that was open all the time is recorded as a whole.
    const before = Date.now();
    await network.detach(1);
    // Of this test and of the one with an idle connection.
    const found = await seen(2, { port: 8080 });
    for (const { startedAtMs } of found) expect(startedAtMs).toBeLessThan(before);
    expect(records.filter(({ reason }) => reason === 'log_gap')).toHaveLength(1);
  });

  test.each(['', 'x', '-1', '1e999', '9999999999999', `1${'0'.repeat(5000)}`])(
    'does not believe that an earlier log has read until "%s"',
    (text) => {
      const file = join(folder, 'bad');
      writeFileSync(file, text);
      using other = openFlowLog({
        ...{ instance: 18, logger: silentLogger, markFile: file },
        onRecord: (record, owner) => void records.push({ ...record, owner }),
      });
      other?.put(5, own('adopted'));
      expect(records).toMatchObject([{ reason: 'log_gap', durationMs: 0 }]);
    },
  );

  test('a start that fails before all are known again does not hide since when nothing was read', () => {
    const file = join(folder, 'kept');
    const since = String(Date.now() - 60_000);
    writeFileSync(file, since);
    const other = openFlowLog({
      ...{ instance: 18, logger: silentLogger, markFile: file },
      onRecord: () => undefined,
    });
    other?.put(5, own('adopted'));
    other?.[Symbol.dispose]();
    expect(readFileSync(file, 'utf8')).toBe(since);
  });

  test('no duration is below 0 when the clock is set back', () => {
    using other = openFlowLog({
      ...{ instance: 18, logger: silentLogger },
      onRecord: (record, owner) => void records.push({ ...record, owner }),
    });
    let nowMs = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => (nowMs -= 1000));
    onTestFinished(() => void vi.restoreAllMocks());
    other?.put(5, own('adopted'));
    expect(records).toMatchObject([{ reason: 'log_gap', durationMs: 0 }]);
  });
});
