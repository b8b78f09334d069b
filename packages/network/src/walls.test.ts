import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { connect, createServer } from 'node:net';
import { run } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Network } from './network.ts';
import { openNetworkLab } from './testing/network-lab.ts';
import type { NetworkLab } from './testing/network-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

const instance = 12;
const outsideHost = '203.0.113.10';
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

let lab: NetworkLab;
let network: Network;
let outside: LabNamespace;
let sandbox: LabNamespace;
let neighbor: LabNamespace;

beforeAll(async () => {
  lab = await openNetworkLab({
    ...{ instance, resolver },
    outside: { host: '203.0.113.1/26', addresses: [`${outsideHost}/26`] },
    inside: {
      host: '192.168.77.1/24',
      addresses: ['192.168.77.10/24', ...privateHosts.slice(1).map((address) => `${address}/32`), `${resolver}/32`],
    },
  });
  ({ network, outside, sandbox, neighbor } = lab);
}, 60_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

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

describe('outgoing traffic', () => {
  test('a sandbox reaches the outside, which sees the address of the host', async () => {
    expect(await sandbox.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open 203.0.113.1');
    expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open 203.0.113.1');
  });

  test('a UDP request is answered', async () => {
    expect(await sandbox.ask({ op: 'sendUdp', host: outsideHost, port: 53 })).toBe('echo');
  });

  test('256 MiB arrive complete through checksum and segmentation offload', async () => {
    const bytes = 256 * 1024 * 1024;
    expect(await sandbox.ask({ op: 'upload', host: outsideHost, port: 9000, bytes })).toBe(String(bytes));
  });

  test('every sandbox has the same address inside and a different one on the host', async () => {
    for (const each of [sandbox, neighbor]) {
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
    await neighbor.ask({ op: 'listen', host: '0.0.0.0', port: 7000 });
    await neighbor.ask({ op: 'listenUdp', host: '0.0.0.0', port: 7000 });
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

  test('the host does not answer ARP, so its neighbor table cannot be filled', async () => {
    const found = await run('ip', ['neigh', 'show', 'dev', 'sb12x1']);
    expect(found.trim()).toBe('10.11.0.2 lladdr 02:50:42:00:00:02 PERMANENT');
  });

  test('a private name server is open on port 53 only', async () => {
    expect(await sandbox.ask({ op: 'sendUdp', host: resolver, port: 53 })).toBe('echo');
    expect(await sandbox.ask({ op: 'connect', host: resolver, port: 53 })).toMatch(/^open/);
    expect(await sandbox.ask({ op: 'connect', host: resolver, port: 8080 })).toBe('ECONNREFUSED');
  });
});
