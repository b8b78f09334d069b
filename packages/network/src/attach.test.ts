import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { SoulBoxError, run } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNetwork } from './network.ts';
import type { Network } from './network.ts';
import { openNetworkLab } from './testing/network-lab.ts';
import type { NetworkLab } from './testing/network-lab.ts';
import { readHostNetwork, startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

const instance = 16;
const outsideHost = '203.0.113.202';

let lab: NetworkLab;
let network: Network;
let outside: LabNamespace;
let inside: LabNamespace;
let sandbox: LabNamespace;
let neighbor: LabNamespace;

beforeAll(async () => {
  lab = await openNetworkLab({
    ...{ instance, resolver: '192.168.79.53' },
    outside: { host: '203.0.113.193/26', addresses: [`${outsideHost}/26`] },
    inside: { host: '192.168.79.1/24', addresses: ['192.168.79.53/24'] },
  });
  ({ network, outside, inside, sandbox, neighbor } = lab);
}, 60_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

describe('interface lifecycle', () => {
  test('detach leaves nothing behind and can be repeated', async () => {
    const guest = await lab.start();
    await network.attach(7, guest.path, { allowInternetAccess: false });
    expect(network.listTraces()).toContain(7);
    await network.detach(7);
    await network.detach(7);
    expect(network.listTraces()).not.toContain(7);
    expect(await run('ip', ['route'])).not.toContain('10.216.0.7');
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_16'])).not.toContain('policy_7');
  });

  test('no packet passes an unplugged interface, and the first one passes after plugging', async () => {
    const guest = await lab.start();
    await network.attachUnplugged(13, guest.path);
    expect(await guest.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('timeout');
    await network.setPolicy(13, { allowInternetAccess: false });
    await network.plug(13);
    expect(await guest.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    await network.setPolicy(13, {});
    const next = await lab.start();
    await network.attachUnplugged(14, next.path);
    await network.plug(14);
    const startedAt = performance.now();
    expect(await next.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    // TCP would resend a lost packet after a second.
    expect(performance.now() - startedAt).toBeLessThan(800);
    for (const slot of [13, 14]) await network.detach(slot);
  });

  test('a sandbox that dies takes its interface along, and detach and a new attach still work', async () => {
    const guest = await startLabNamespace();
    await network.attach(8, guest.path);
    await guest.stop();
    await expect.poll(() => network.listTraces()).not.toContain(8);
    await network.detach(8);
    const next = await lab.start();
    await network.attach(8, next.path);
    expect(await next.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.detach(8);
  });

  test('attach takes over a slot whose old interface was left behind', async () => {
    const [old, next] = [await lab.start(), await lab.start()];
    await network.attach(9, old.path);
    await network.attach(9, next.path);
    expect(await next.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.detach(9);
  });

  test('the next owner of a slot inherits no connection of the previous one', async (context) => {
    if (!existsSync('/proc/net/nf_conntrack'))
      context.skip('this kernel lists no connections in /proc/net/nf_conntrack');
    const [old, next] = [await lab.start(), await lab.start()];
    await network.attach(12, old.path);
    await old.ask({ op: 'hold', name: 'mine', host: outsideHost, port: 8080 });
    await old.ask({ op: 'sendUdp', host: outsideHost, port: 53 });
    const tracked = async (): Promise<number> =>
      (await readFile('/proc/net/nf_conntrack', 'utf8')).split('\n').filter((line) => line.includes('src=10.216.0.12 '))
        .length;
    expect(await tracked()).toBe(2);
    await network.attach(12, next.path);
    expect(await tracked()).toBe(0);
    expect(await next.ask({ op: 'hold', name: 'mine', host: outsideHost, port: 8080 })).toMatch(/^open/);
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.detach(12);
    expect(await tracked()).toBe(0);
  });

  test("attach rejects the host's own namespace and an invalid path, and leaves nothing behind", async () => {
    for (const path of ['/proc/self/ns/net', '/proc/self/ns/mnt', '/etc/hosts', '/proc/999999999/ns/net'])
      await expect(network.attach(10, path, { allowInternetAccess: false })).rejects.toBeInstanceOf(SoulBoxError);
    expect(network.listTraces()).not.toContain(10);
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_16'])).not.toContain('policy_10');
  });

  test('a namespace that already has an eth0 is rejected, and nothing is left behind', async () => {
    const guest = await lab.start();
    await guest.ip('link add eth0 type veth peer name other\n');
    await expect(network.attach(11, guest.path)).rejects.toThrow(/link add/);
    expect(network.listTraces()).not.toContain(11);
  });

  test('after a crash the next server takes over: connections continue and policies stay in force', async () => {
    await network.setPolicy(258, { allowInternetAccess: false });
    await sandbox.ask({ op: 'hold', name: 'through', host: outsideHost, port: 8080 });
    network = await openNetwork(lab.options);
    expect(await sandbox.ask({ op: 'ping', name: 'through' })).toBe('alive');
    expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    const udp = { op: 'sendUdp', host: outsideHost, port: 53, timeoutMs: 400, isConnected: true } as const;
    expect(await neighbor.ask(udp)).toBe('ECONNREFUSED');
    await network.setPolicy(258, {});
    expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    expect(await neighbor.ask(udp)).toBe('echo');
  });

  test('a table with an incompatible layout is recreated, and every running sandbox is closed until its policy is set', async () => {
    await run('nft', ['-f', '-'], {
      input: 'delete table inet soulbox_16\ntable inet soulbox_16 { map policies { type ipv6_addr : verdict; }\n}\n',
    });
    network = await openNetwork(lab.options);
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    await network.setPolicy(1, {});
    await network.setPolicy(258, {});
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
  });

  test('20 sandboxes attached at once all reach the outside', async () => {
    const guests = await Promise.all(Array.from({ length: 20 }, () => lab.start()));
    await Promise.all(guests.map(async (guest, index) => await network.attach(100 + index, guest.path)));
    const answers = await Promise.all(
      guests.map(async (guest) => await guest.ask({ op: 'connect', host: outsideHost, port: 8080, timeoutMs: 5000 })),
    );
    expect(new Set(answers)).toEqual(new Set(['open 203.0.113.193']));
    await Promise.all(guests.map(async (_, index) => await network.detach(100 + index)));
    await Promise.all(guests.map(async (guest) => await guest.stop()));
  });
});

describe('the host', () => {
  test.each([
    [{ base: '203.0.113.0/24' }, /a\.b\.0\.0\/16/],
    [{ base: '10.0.0.0/8' }, /a\.b\.0\.0\/16/],
    [{ base: '192.168.0.0/16' }, /192\.168\.\d+\./],
    [{ nameServers: ['203.0.113.193'] }, /this host/],
    [{ nameServers: ['127.0.0.53'] }, /this host/],
    [{ nameServers: ['resolver.local'] }, /not an IPv4 address/],
    [{ denied: ['nonsense'] }, /nonsense/],
  ])('the configuration %j is rejected before anything changes', async (change, message) => {
    const table = await readHostNetwork(instance);
    await expect(openNetwork({ ...lab.options, ...change })).rejects.toThrow(message);
    expect(await readHostNetwork(instance)).toBe(table);
  });

  test('close removes every interface and rule of the instance, and nothing else', async () => {
    await network.close();
    await network.close();
    await Promise.all([outside.stop(), inside.stop()]);
    for (const name of ['sl16out', 'sl16in']) await run('ip', ['link', 'delete', name]).catch(() => undefined);
    expect(await readHostNetwork(instance)).toBe(lab.before);
  });
});
