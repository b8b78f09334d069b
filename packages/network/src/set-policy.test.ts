import { run } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNetwork } from './network.ts';
import type { Network } from './network.ts';
import { openNetworkLab } from './testing/network-lab.ts';
import type { NetworkLab } from './testing/network-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

const instance = 15;
const outsideHost = '203.0.113.138';
const otherOutside = '198.51.100.10';
const resolver = '192.168.78.53';

let lab: NetworkLab;
let network: Network;
let sandbox: LabNamespace;
let neighbor: LabNamespace;

beforeAll(async () => {
  lab = await openNetworkLab({
    ...{ instance, resolver },
    outside: { host: '203.0.113.129/26', addresses: [`${outsideHost}/26`, `${otherOutside}/32`] },
    inside: { host: '192.168.78.1/24', addresses: ['192.168.78.10/24', `${resolver}/32`] },
  });
  ({ network, sandbox, neighbor } = lab);
}, 60_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

describe('policies', () => {
  const reach = async (host: string): Promise<string> => {
    const answer = await sandbox.ask({ op: 'connect', host, port: 8080, timeoutMs: 400 });
    return answer.startsWith('open') ? 'open' : answer;
  };

  const reachUdp = async (host: string): Promise<string> =>
    await sandbox.ask({ op: 'sendUdp', host, port: 53, timeoutMs: 400, isConnected: true });

  test('without internet access everything is closed, including name servers, and only for this sandbox', async () => {
    await network.setPolicy(1, { allowInternetAccess: false });
    expect(await reach(outsideHost)).toBe('ECONNREFUSED');
    expect(await reachUdp(outsideHost)).toBe('ECONNREFUSED');
    expect(await reachUdp(resolver)).toBe('ECONNREFUSED');
    expect(await reachUdp('192.0.2.1')).toBe('ECONNREFUSED');
    expect(await sandbox.ask({ op: 'connect', host: resolver, port: 53 })).toBe('ECONNREFUSED');
    expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.clearPolicy(1);
    expect(await reach(outsideHost)).toBe('open');
  });

  test('a policy set at attach also refuses UDP packets, and is removed with the sandbox', async () => {
    const guest = await lab.start();
    const ask = { op: 'sendUdp', host: outsideHost, port: 53, timeoutMs: 400, isConnected: true } as const;
    await network.attach(5, guest.path, { allowInternetAccess: false });
    expect(await guest.ask(ask)).toBe('ECONNREFUSED');
    await network.detach(5);
    expect(await run('nft', ['list', 'tables'])).toContain('netdev soulbox_15');
    expect(await run('nft', ['list', 'table', 'netdev', 'soulbox_15'])).not.toContain('refuse_5');
    const next = await lab.start();
    await network.attach(5, next.path);
    expect(await next.ask(ask)).toBe('echo');
    await network.detach(5);
  });

  test('closing ends an open connection, and opening does not revive it', async () => {
    expect(await sandbox.ask({ op: 'hold', name: 'kept', host: outsideHost, port: 8080 })).toMatch(/^open/);
    expect(await sandbox.ask({ op: 'ping', name: 'kept' })).toBe('alive');
    await network.setPolicy(1, { allowInternetAccess: false });
    expect(await sandbox.ask({ op: 'ping', name: 'kept' })).toBe('ECONNRESET');
    await network.setPolicy(1, {});
    expect(await sandbox.ask({ op: 'ping', name: 'kept' })).toBe('ECONNRESET');
  });

  test('incoming packets of a forbidden flow are dropped, too', async () => {
    await sandbox.ask({ op: 'hold', name: 'silent', host: outsideHost, port: 8080 });
    const receivedBefore = network.counters().get(1)?.receivedPackets ?? 0;
    await network.setPolicy(1, { denyOut: [outsideHost] });
    expect(await sandbox.ask({ op: 'ping', name: 'silent' })).toBe('ECONNRESET');
    // Only the reset of the host.
    expect((network.counters().get(1)?.receivedPackets ?? 0) - receivedBefore).toBeLessThanOrEqual(2);
    await network.clearPolicy(1);
  });

  test('the allow list works without internet access, and beats the deny list', async () => {
    await network.setPolicy(1, { allowInternetAccess: false, allowOut: [otherOutside] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['ECONNREFUSED', 'open']);
    expect([await reachUdp(outsideHost), await reachUdp(otherOutside)]).toEqual(['ECONNREFUSED', 'echo']);
    await network.setPolicy(1, { allowOut: ['203.0.113.136/29'], denyOut: ['0.0.0.0/0'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['open', 'ECONNREFUSED']);
    await network.setPolicy(1, { denyOut: ['203.0.113.0/24', '203.0.113.138', '203.0.113.138/32'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['ECONNREFUSED', 'open']);
    expect([await reachUdp(outsideHost), await reachUdp(otherOutside)]).toEqual(['ECONNREFUSED', 'echo']);
    await network.setPolicy(1, { allowOut: ['0.0.0.0/0'], denyOut: ['203.0.113.0/24'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['open', 'open']);
    expect([await reachUdp(outsideHost), await reachUdp(otherOutside)]).toEqual(['echo', 'echo']);
    await network.clearPolicy(1);
  });

  test('an allow list never opens targets that are forbidden to every sandbox', async () => {
    await network.setPolicy(1, { allowOut: ['192.168.0.0/16', '169.254.169.254', '0.0.0.0/0', '203.0.113.129'] });
    for (const host of ['192.168.78.10', '169.254.169.254', '10.215.1.2', '203.0.113.129'])
      expect(await reach(host)).toBe('ECONNREFUSED');
    await network.clearPolicy(1);
  });

  test('an invalid policy is rejected and leaves the old one in force', async () => {
    await network.setPolicy(1, { denyOut: [outsideHost] });
    await expect(network.setPolicy(1, { allowOut: ['example.com'] })).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await expect(network.setPolicy(1, { denyOut: ['1.2.3.4; drop'] })).rejects.toMatchObject({ reason: 'bad_request' });
    expect(await reach(outsideHost)).toBe('ECONNREFUSED');
    await network.clearPolicy(1);
  });

  test('100 policies set at once are all in force', async () => {
    const slots = Array.from({ length: 100 }, (_, index) => 2000 + index);
    await Promise.all(slots.map(async (slot) => await network.setPolicy(slot, { allowInternetAccess: false })));
    const map = await run('nft', ['list', 'map', 'inet', 'soulbox_15', 'policies']);
    expect(map.match(/jump policy_2[0-9]{3}/g)).toHaveLength(100);
    await Promise.all(slots.map(async (slot) => await network.clearPolicy(slot)));
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_15'])).not.toContain('policy_');
  });

  test('one sandbox cannot use more than its share of tracked connections', async () => {
    const narrow = await openNetwork({ ...lab.options, maxFlows: 20 });
    const crowd = await lab.start();
    await narrow.attach(3, crowd.path);
    expect(Number(await crowd.ask({ op: 'flood', host: outsideHost, port: 8080, count: 40 }))).toBeLessThanOrEqual(20);
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await narrow.detach(3);
    network = await openNetwork(lab.options);
  });
});
