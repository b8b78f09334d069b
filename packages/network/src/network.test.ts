import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { connect, createServer } from 'node:net';
import { SoulBoxError, run, silentLogger } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNetwork, removeNetwork } from './network.ts';
import type { Network, NetworkOptions } from './network.ts';
import { joinToHost, readHostNetwork, startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

const instance = 12;
const options: NetworkOptions = { instance, logger: silentLogger, nameServers: ['1.1.1.1', '192.168.77.53'] };
const outsideHost = '203.0.113.10';
const otherOutside = '198.51.100.10';
const privateHosts = [
  '192.168.77.10',
  '10.77.0.10',
  '172.31.77.10',
  '169.254.169.254',
  '100.100.100.200',
  '168.63.129.16',
  '198.18.77.10',
  '192.0.0.192',
];
const resolver = '192.168.77.53';

let before: string;
let network: Network;
let outside: LabNamespace;
let inside: LabNamespace;
let sandbox: LabNamespace;
let neighbour: LabNamespace;
const started: LabNamespace[] = [];

async function start(): Promise<LabNamespace> {
  const namespace = await startLabNamespace();
  started.push(namespace);
  return namespace;
}

/** Without the loopback addresses. */
function hostAddresses(): string[] {
  const own = Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).filter((e) => !e.internal));
  return own.filter((entry) => entry.family === 'IPv4').map((entry) => entry.address);
}

/** Connects from the host's own namespace, to show that a target which a sandbox cannot reach does exist. */
async function reachesFromHost(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 500 });
    const finish = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', finish(true)).once('error', finish(false)).once('timeout', finish(false));
  });
}

async function askUdpFromHost(host: string): Promise<boolean> {
  const socket = createSocket('udp4');
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(500) });
  socket.send('echo', 53, host);
  try {
    await answer;
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

beforeAll(async () => {
  await removeNetwork(instance);
  before = await readHostNetwork(instance);
  [outside, inside, sandbox, neighbour] = await Promise.all([start(), start(), start(), start()]);
  await joinToHost(outside, 'sl12out', '203.0.113.1/24', [`${outsideHost}/24`, `${otherOutside}/32`]);
  await joinToHost(inside, 'sl12in', '192.168.77.1/24', [
    '192.168.77.10/24',
    ...privateHosts.slice(1).map((address) => `${address}/32`),
    `${resolver}/32`,
  ]);
  for (const server of [outside, inside]) {
    expect(await server.ask({ op: 'listen', host: '0.0.0.0', port: 8080 })).toBe('ok');
    await server.ask({ op: 'listen', host: '0.0.0.0', port: 53 });
    await server.ask({ op: 'listen', host: '0.0.0.0', port: 9000, sink: true });
  }
  for (const host of [outsideHost, otherOutside]) await outside.ask({ op: 'listenUdp', host, port: 53 });
  for (const host of [...privateHosts, resolver]) await inside.ask({ op: 'listenUdp', host, port: 53 });
  network = await openNetwork(options);
  await Promise.all([network.attach(1, sandbox.path), network.attach(258, neighbour.path)]);
}, 60_000);

afterAll(async () => {
  await Promise.all(started.map(async (namespace) => await namespace.stop()));
  for (const name of ['sl12out', 'sl12in']) await run('ip', ['link', 'delete', name]).catch(() => undefined);
  await removeNetwork(instance);
});

describe('outgoing traffic', () => {
  test('a sandbox reaches the outside, which sees the address of the host', async () => {
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open 203.0.113.1');
    expect(await neighbour.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open 203.0.113.1');
  });

  test('a UDP request is answered', async () => {
    expect(await sandbox.ask({ op: 'sendUdp', host: outsideHost, port: 53 })).toBe('echo');
  });

  test('256 MiB arrive complete through checksum and segmentation offload', async () => {
    const bytes = 256 * 1024 * 1024;
    expect(await sandbox.ask({ op: 'upload', host: outsideHost, port: 9000, bytes })).toBe(String(bytes));
  });

  test('every sandbox has the same address inside and a different one on the host', async () => {
    for (const each of [sandbox, neighbour]) {
      const addresses = await run('nsenter', [`--net=${each.path}`, 'ip', '-brief', 'address']);
      expect(addresses).toMatch(/eth0\S* +UP +10\.11\.0\.2\/24 *$/m);
      expect(addresses).toMatch(/lo +UNKNOWN +127\.0\.0\.1\/8 ::1\/128/);
    }
    expect(await run('ip', ['route', 'show', 'dev', 'sb12x258'])).toContain('10.212.1.2');
  });

  test("traffic is counted per slot, from the sandbox's point of view", () => {
    const counted = network.counters();
    expect([...counted.keys()].sort((a, b) => a - b)).toEqual([1, 258]);
    expect(counted.get(1)?.sentBytes).toBeGreaterThan(256 * 1024 * 1024);
    expect(counted.get(1)?.receivedBytes).toBeLessThan(counted.get(1)?.sentBytes ?? 0);
    expect(counted.get(258)?.sentBytes).toBeLessThan(100_000);
    expect(counted.get(258)?.receivedPackets).toBeGreaterThan(2);
  });
});

describe('unreachable targets', () => {
  test.each(privateHosts)('%s answers the host, but not a sandbox', async (host) => {
    expect(await reachesFromHost(host, 8080)).toBe(true);
    expect(await askUdpFromHost(host)).toBe(true);
    expect(await sandbox.ask({ op: 'connect', host, port: 8080 })).toBe('ECONNREFUSED');
    expect(await sandbox.ask({ op: 'sendUdp', host, port: 53, timeoutMs: 200 })).toBe('timeout');
  });

  test.each([
    ['IPv4-mapped IPv6', '::ffff:192.168.77.10'],
    ['IPv4-mapped IPv6 in hex', '::ffff:c0a8:4d0a'],
    ['one decimal number', '3232255242'],
    ['octal parts', '0300.0250.0115.012'],
    ['hexadecimal', '0xc0a84d0a'],
    ['a shortened form', '192.168.19722'],
    ['mapped metadata', '::ffff:169.254.169.254'],
    ['decimal metadata', '2852039166'],
  ])('a private address written as %s is refused too', async (_form, host) => {
    expect(await sandbox.ask({ op: 'connect', host, port: 8080 })).toBe('ECONNREFUSED');
  });

  test('the IPv4-mapped form works for an allowed address, so the refusal above is due to the address', async () => {
    expect(await sandbox.ask({ op: 'connect', host: `::ffff:${outsideHost}`, port: 8080 })).toBe('open 203.0.113.1');
    const decimal = String(0xcb00710a);
    expect(await sandbox.ask({ op: 'connect', host: decimal, port: 8080 })).toBe('open 203.0.113.1');
  });

  test('no address of the host is reachable, public or not', async () => {
    const addresses = hostAddresses();
    expect(addresses).toContain('203.0.113.1');
    const server = createServer((socket) => socket.on('error', () => undefined).end('host\n'));
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const { port } = server.address() as { port: number };
    try {
      for (const address of addresses) {
        const isThere = await reachesFromHost(address, port);
        const answer = await sandbox.ask({ op: 'connect', host: address, port, timeoutMs: 500 });
        expect(answer, address).not.toContain('open');
        // Addresses of other tests and servers on this host may disappear meanwhile. One that stays refuses at once.
        if (!hostAddresses().includes(address)) continue;
        expect([address, isThere, answer]).toEqual([address, true, 'ECONNREFUSED']);
      }
      expect(await sandbox.ask({ op: 'connect', host: '10.11.0.1', port, timeoutMs: 300 })).not.toContain('open');
    } finally {
      server.close();
    }
  });

  test('sandboxes cannot reach each other at any address', async () => {
    await neighbour.ask({ op: 'listen', host: '0.0.0.0', port: 7000 });
    await neighbour.ask({ op: 'listenUdp', host: '0.0.0.0', port: 7000 });
    for (const host of ['10.212.1.2', '::ffff:10.212.1.2', '10.213.0.1'])
      expect(await sandbox.ask({ op: 'connect', host, port: 7000, timeoutMs: 300 })).toBe('ECONNREFUSED');
    expect(await sandbox.ask({ op: 'sendUdp', host: '10.212.1.2', port: 7000, timeoutMs: 300 })).toBe('timeout');
  });

  test('neither the host nor the outside can open a connection into a sandbox', async () => {
    expect(await reachesFromHost('10.212.1.2', 7000)).toBe(false);
    const answer = await outside.ask({ op: 'connect', host: '10.212.1.2', port: 7000, timeoutMs: 400 });
    expect(answer).toBe('timeout');
  });

  test('broadcast and multicast packets reach nobody', async () => {
    for (const host of ['255.255.255.255', '10.11.0.255', '224.0.0.251'])
      expect(await sandbox.ask({ op: 'sendUdp', host, port: 53, timeoutMs: 200 })).toBe('timeout');
  });

  test('a packet with a forged source is dropped, even if root inside adds the address', async () => {
    for (const forged of ['203.0.113.77', '10.212.1.2', '192.168.77.66']) {
      await sandbox.ip(`addr add ${forged}/32 dev eth0\n`);
      const command = { host: outsideHost, localAddress: forged, timeoutMs: 300 };
      expect(await sandbox.ask({ op: 'connect', port: 8080, ...command })).toBe('timeout');
      expect(await sandbox.ask({ op: 'sendUdp', port: 53, ...command })).toBe('timeout');
      await sandbox.ip(`addr del ${forged}/32 dev eth0\n`);
    }
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open 203.0.113.1');
  });

  test('neither end of the pair has an IPv6 address or route', async () => {
    const link = await run('ip', ['-6', 'address', 'show', 'dev', 'sb12x1']);
    expect(link.trim()).toBe('');
    const forbidden = await run('nsenter', [`--net=${sandbox.path}`, 'ip', '-6', 'route', 'show', 'dev', 'eth0']);
    expect(forbidden.trim()).toBe('');
  });

  test('root inside can set up IPv6 by hand, but reaches no IPv6 address of the host', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).end('host\n'));
    await new Promise<void>((resolve) => server.listen(0, '::', resolve));
    const { port } = server.address() as { port: number };
    await run('ip', ['address', 'add', 'fd00:12::1/64', 'dev', 'sl12out', 'nodad']);
    try {
      expect(await reachesFromHost('fd00:12::1', port)).toBe(true);
      await run('nsenter', [`--net=${sandbox.path}`, 'sysctl', '-w', 'net.ipv6.conf.eth0.disable_ipv6=0']);
      await sandbox.ip(
        [
          'addr add fd00:13::2/64 dev eth0 nodad',
          'neigh add fd00:13::1 lladdr 02:50:42:00:00:01 dev eth0 nud permanent',
          'route add default via fd00:13::1',
          '',
        ].join('\n'),
      );
      const answer = await sandbox.ask({ op: 'connect', host: 'fd00:12::1', port, timeoutMs: 400 });
      expect(answer).toBe('timeout');
    } finally {
      server.close();
      await run('ip', ['address', 'del', 'fd00:12::1/64', 'dev', 'sl12out']);
      await run('nsenter', [`--net=${sandbox.path}`, 'sysctl', '-w', 'net.ipv6.conf.eth0.disable_ipv6=1']);
    }
  });

  test('the host does not answer ARP, so its neighbour table cannot be filled', async () => {
    const found = await run('ip', ['neigh', 'show', 'dev', 'sb12x1']);
    expect(found.trim()).toBe('10.11.0.2 lladdr 02:50:42:00:00:02 PERMANENT');
  });

  test('a private name server is open on port 53 only', async () => {
    expect(await sandbox.ask({ op: 'sendUdp', host: resolver, port: 53 })).toBe('echo');
    expect(await sandbox.ask({ op: 'connect', host: resolver, port: 53 })).toMatch(/^open/);
    expect(await sandbox.ask({ op: 'connect', host: resolver, port: 8080 })).toBe('ECONNREFUSED');
  });
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
    expect(await neighbour.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.clearPolicy(1);
    expect(await reach(outsideHost)).toBe('open');
  });

  test('a policy set at attach also refuses UDP packets, and is removed with the sandbox', async () => {
    const guest = await start();
    const ask = { op: 'sendUdp', host: outsideHost, port: 53, timeoutMs: 400, isConnected: true } as const;
    await network.attach(5, guest.path, { allowInternetAccess: false });
    expect(await guest.ask(ask)).toBe('ECONNREFUSED');
    await network.detach(5);
    expect(await run('nft', ['list', 'tables'])).toContain('netdev soulbox_12');
    expect(await run('nft', ['list', 'table', 'netdev', 'soulbox_12'])).not.toContain('refuse_5');
    const next = await start();
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
    await network.setPolicy(1, { allowOut: ['203.0.113.8/29'], denyOut: ['0.0.0.0/0'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['open', 'ECONNREFUSED']);
    await network.setPolicy(1, { denyOut: ['203.0.113.0/24', '203.0.113.10', '203.0.113.10/32'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['ECONNREFUSED', 'open']);
    expect([await reachUdp(outsideHost), await reachUdp(otherOutside)]).toEqual(['ECONNREFUSED', 'echo']);
    await network.setPolicy(1, { allowOut: ['0.0.0.0/0'], denyOut: ['203.0.113.0/24'] });
    expect([await reach(outsideHost), await reach(otherOutside)]).toEqual(['open', 'open']);
    expect([await reachUdp(outsideHost), await reachUdp(otherOutside)]).toEqual(['echo', 'echo']);
    await network.clearPolicy(1);
  });

  test('an allow list never opens targets that are forbidden to every sandbox', async () => {
    await network.setPolicy(1, { allowOut: ['192.168.0.0/16', '169.254.169.254', '0.0.0.0/0', '203.0.113.1'] });
    for (const host of ['192.168.77.10', '169.254.169.254', '10.212.1.2', '203.0.113.1'])
      expect(await reach(host)).toBe('ECONNREFUSED');
    await network.clearPolicy(1);
  });

  test('an invalid policy is rejected and leaves the old one in force', async () => {
    await network.setPolicy(1, { denyOut: [outsideHost] });
    await expect(network.setPolicy(1, { allowOut: ['example.com'] })).rejects.toMatchObject({
      reason: 'not_implemented',
    });
    await expect(network.setPolicy(1, { denyOut: ['1.2.3.4; drop'] })).rejects.toMatchObject({ reason: 'bad_request' });
    expect(await reach(outsideHost)).toBe('ECONNREFUSED');
    await network.clearPolicy(1);
  });

  test('100 policies set at once are all in force', async () => {
    const slots = Array.from({ length: 100 }, (_, index) => 2000 + index);
    await Promise.all(slots.map(async (slot) => await network.setPolicy(slot, { allowInternetAccess: false })));
    const map = await run('nft', ['list', 'map', 'inet', 'soulbox_12', 'policies']);
    expect(map.match(/jump policy_2[0-9]{3}/g)).toHaveLength(100);
    await Promise.all(slots.map(async (slot) => await network.clearPolicy(slot)));
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_12'])).not.toContain('policy_');
  });

  test('one sandbox cannot use more than its share of tracked connections', async () => {
    const narrow = await openNetwork({ ...options, maxFlows: 20 });
    const crowd = await start();
    await narrow.attach(3, crowd.path);
    expect(Number(await crowd.ask({ op: 'flood', host: outsideHost, port: 8080, count: 40 }))).toBeLessThanOrEqual(20);
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await narrow.detach(3);
    network = await openNetwork(options);
  });
});

describe('interface lifecycle', () => {
  test('detach leaves nothing behind and can be repeated', async () => {
    const guest = await start();
    await network.attach(7, guest.path, { allowInternetAccess: false });
    expect(network.listTraces()).toContain(7);
    await network.detach(7);
    await network.detach(7);
    expect(network.listTraces()).not.toContain(7);
    expect(await run('ip', ['route'])).not.toContain('10.212.0.7');
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_12'])).not.toContain('policy_7');
  });

  test('no packet passes an unplugged interface, and the first one passes after plugging', async () => {
    const guest = await start();
    await network.attachUnplugged(13, guest.path);
    expect(await guest.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('timeout');
    await network.setPolicy(13, { allowInternetAccess: false });
    await network.plug(13);
    expect(await guest.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    await network.setPolicy(13, {});
    const next = await start();
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
    const next = await start();
    await network.attach(8, next.path);
    expect(await next.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.detach(8);
  });

  test('attach takes over a slot whose old interface was left behind', async () => {
    const [old, next] = [await start(), await start()];
    await network.attach(9, old.path);
    await network.attach(9, next.path);
    expect(await next.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    await network.detach(9);
  });

  test('the next owner of a slot inherits no connection of the previous one', async (context) => {
    if (!existsSync('/proc/net/nf_conntrack'))
      context.skip('this kernel lists no connections in /proc/net/nf_conntrack');
    const [old, next] = [await start(), await start()];
    await network.attach(12, old.path);
    await old.ask({ op: 'hold', name: 'mine', host: outsideHost, port: 8080 });
    await old.ask({ op: 'sendUdp', host: outsideHost, port: 53 });
    const tracked = async (): Promise<number> =>
      (await readFile('/proc/net/nf_conntrack', 'utf8')).split('\n').filter((line) => line.includes('src=10.212.0.12 '))
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
    expect(await run('nft', ['list', 'table', 'inet', 'soulbox_12'])).not.toContain('policy_10');
  });

  test('a namespace that already has an eth0 is rejected, and nothing is left behind', async () => {
    const guest = await start();
    await guest.ip('link add eth0 type veth peer name other\n');
    await expect(network.attach(11, guest.path)).rejects.toThrow(/link add/);
    expect(network.listTraces()).not.toContain(11);
  });

  test('after a crash the next server takes over: connections continue and policies stay in force', async () => {
    await network.setPolicy(258, { allowInternetAccess: false });
    await sandbox.ask({ op: 'hold', name: 'through', host: outsideHost, port: 8080 });
    network = await openNetwork(options);
    expect(await sandbox.ask({ op: 'ping', name: 'through' })).toBe('alive');
    expect(await neighbour.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    const udp = { op: 'sendUdp', host: outsideHost, port: 53, timeoutMs: 400, isConnected: true } as const;
    expect(await neighbour.ask(udp)).toBe('ECONNREFUSED');
    await network.setPolicy(258, {});
    expect(await neighbour.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
    expect(await neighbour.ask(udp)).toBe('echo');
  });

  test('a table with an incompatible layout is recreated, and every running sandbox is closed until its policy is set', async () => {
    await run('nft', ['-f', '-'], {
      input: 'delete table inet soulbox_12\ntable inet soulbox_12 { map policies { type ipv6_addr : verdict; }\n}\n',
    });
    network = await openNetwork(options);
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('ECONNREFUSED');
    await network.setPolicy(1, {});
    await network.setPolicy(258, {});
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toMatch(/^open/);
  });

  test('20 sandboxes attached at once all reach the outside', async () => {
    const guests = await Promise.all(Array.from({ length: 20 }, start));
    await Promise.all(guests.map(async (guest, index) => await network.attach(100 + index, guest.path)));
    const answers = await Promise.all(
      guests.map(async (guest) => await guest.ask({ op: 'connect', host: outsideHost, port: 8080, timeoutMs: 5000 })),
    );
    expect(new Set(answers)).toEqual(new Set(['open 203.0.113.1']));
    await Promise.all(guests.map(async (_, index) => await network.detach(100 + index)));
    await Promise.all(guests.map(async (guest) => await guest.stop()));
  });
});

describe('the host', () => {
  test.each([
    [{ base: '203.0.113.0/24' }, /a\.b\.0\.0\/16/],
    [{ base: '10.0.0.0/8' }, /a\.b\.0\.0\/16/],
    [{ base: '192.168.0.0/16' }, /192\.168\.77\./],
    [{ nameServers: ['203.0.113.1'] }, /this host/],
    [{ nameServers: ['127.0.0.53'] }, /this host/],
    [{ nameServers: ['resolver.local'] }, /not an IPv4 address/],
    [{ denied: ['nonsense'] }, /nonsense/],
  ])('the configuration %j is rejected before anything changes', async (change, message) => {
    const table = await readHostNetwork(instance);
    await expect(openNetwork({ ...options, ...change })).rejects.toThrow(message);
    expect(await readHostNetwork(instance)).toBe(table);
  });

  test('close removes every interface and rule of the instance, and nothing else', async () => {
    await network.close();
    await network.close();
    await Promise.all([outside.stop(), inside.stop()]);
    for (const name of ['sl12out', 'sl12in']) await run('ip', ['link', 'delete', name]).catch(() => undefined);
    expect(await readHostNetwork(instance)).toBe(before);
  });
});
