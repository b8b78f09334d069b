// What the kernel lets through to the egress process, for which servers of this test stand in.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createAddressPlan, egressPorts } from './address-plan.ts';
import { openNetwork } from './network.ts';
import type { Network } from './network.ts';
import { openNetworkLab } from './testing/network-lab.ts';
import type { NetworkLab } from './testing/network-lab.ts';

const instance = 23;
const outsideHost = '203.0.113.202';
const closed = { allowInternetAccess: false, rules: { 'a.test': {} } };

let lab: NetworkLab;
let network: Network;
const servers = new AsyncDisposableStack();
const arrived = { udp: new Map<string, number>(), tcp: new Map<string, number>() };
const noted = (counts: Map<string, number>, address = ''): void =>
  void counts.set(address, (counts.get(address) ?? 0) + 1);
const plan = createAddressPlan(instance);

beforeAll(async () => {
  lab = await openNetworkLab({
    ...{ instance, resolver: '192.168.86.53' },
    outside: { host: '203.0.113.201/29', addresses: [`${outsideHost}/29`] },
    inside: { host: '192.168.86.1/24', addresses: ['192.168.86.10/24', '192.168.86.53/32'] },
  });
  const policies = { put: () => Promise.resolve(), remove: () => Promise.resolve() };
  network = await openNetwork({ ...lab.options, policies });
  const udp = createSocket({ type: 'udp4', recvBufferSize: 4 * 2 ** 20 }, (message, from) => {
    noted(arrived.udp, from.address);
    // Look-ups cost the process something.
    for (const end = performance.now() + 0.05; performance.now() < end;);
    udp.send(message, from.port, from.address);
  });
  udp.bind(egressPorts.dns, plan.egressAddress);
  await once(udp, 'listening');
  servers.defer(() => void udp.close());
  const tcp = createServer((socket) => {
    noted(arrived.tcp, socket.remoteAddress);
    socket.on('error', () => undefined).end('egress\n');
  });
  tcp.listen(egressPorts.tcp, plan.egressAddress);
  await once(tcp, 'listening');
  servers.defer(() => void tcp.close());
}, 60_000);
afterAll(async () => {
  await servers.disposeAsync();
  await lab[Symbol.asyncDispose]();
});
beforeEach(async () => {
  for (const counts of Object.values(arrived)) counts.clear();
  await Promise.all([network.setPolicy(1, closed), network.setPolicy(258, closed)]);
});

test('a flood of look-ups ends in the kernel, and those of another sandbox take 5 ms', async () => {
  const { sandbox, neighbor } = lab;
  const [sent, times] = await Promise.all([
    sandbox.ask({ op: 'floodUdp', host: '9.9.9.9', port: 53, ms: 2000 }),
    neighbor.ask({ op: 'timesUdp', host: '9.9.9.9', port: 53, count: 100 }),
  ]);
  expect(Number(sent)).toBeGreaterThan(20_000);
  // 200 at once, and 500 per second.
  expect(arrived.udp.get(plan.addressOf(1))).toBeGreaterThanOrEqual(200);
  expect(arrived.udp.get(plan.addressOf(1))).toBeLessThan(3000);
  process.stdout.write(`look-ups beside ${sent} datagrams of a flood: median and longest ${times} ms\n`);
  const [median = NaN, longest = NaN] = times.split(' ').map(Number);
  expect(median).toBeLessThan(5);
  // At first, those of the flood that were let through at once are before it.
  expect(longest).toBeLessThan(100);
  expect(arrived.udp.get(plan.addressOf(258))).toBe(100);
});

test('floods of many sandboxes together are bounded, and the look-ups of another one pass', async () => {
  const { sandbox, neighbor } = lab;
  const more = await Promise.all(Array.from({ length: 10 }, async () => await lab.start()));
  const slots = more.map((_, index) => 30 + index);
  await Promise.all(more.map(async ({ path }, index) => await network.attach(30 + index, path, closed)));
  const startedAt = performance.now();
  const flooding = [sandbox, ...more].map(
    async (each) => await each.ask({ op: 'floodUdp', host: '9.9.9.9', port: 53, ms: 1000 }),
  );
  expect(await neighbor.ask({ op: 'timesUdp', host: '9.9.9.9', port: 53, count: 15 })).not.toContain('lost');
  await Promise.all(flooding);
  const seconds = (performance.now() - startedAt) / 1000;
  const arrivedOf = (slot: number): number => arrived.udp.get(plan.addressOf(slot)) ?? 0;
  const counts = [1, ...slots].map(arrivedOf);
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(20);
  const all = counts.reduce((sum, count) => sum + count, 0);
  process.stdout.write(`look-ups of ${counts.length} floods that arrived in ${seconds.toFixed(2)} s: ${all}\n`);
  // Of all, and the small part of each.
  expect(all).toBeLessThan(300 + 2000 * seconds + counts.length * (20 + 20 * seconds) + 100);
  await Promise.all(slots.map(async (slot) => await network.detach(slot)));
}, 30_000);

test('a flood of connections is refused at once beyond its limit, and one of another sandbox is not', async () => {
  const { sandbox, neighbor } = lab;
  const answers = sandbox.ask({ op: 'flood', host: outsideHost, port: 8080, count: 3500 });
  expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open egress');
  expect(Number(await answers)).toBeLessThan(3500);
  expect(arrived.tcp.get(plan.addressOf(1))).toBeLessThan(3500);
  expect(await neighbor.ask({ op: 'connect', host: outsideHost, port: 8080 })).toBe('open egress');
}, 30_000);

test('a program that keeps its port gets the treatment of the new policy at once, in both directions', async () => {
  const ask = async (): Promise<string> =>
    await lab.neighbor.ask({ op: 'askUdp', name: 'kept', host: outsideHost, port: 53, timeoutMs: 500 });
  const own = plan.addressOf(258);
  const isRedirected = async (): Promise<boolean> => {
    arrived.udp.clear();
    expect(await ask()).toBe('echo');
    return arrived.udp.has(own);
  };
  await network.clearPolicy(258);
  expect(await isRedirected()).toBe(false);
  await network.setPolicy(258, closed);
  expect(await isRedirected()).toBe(true);
  await network.setPolicy(258, { denyOut: ['0.0.0.0/0'], allowOut: [outsideHost] });
  expect(await isRedirected()).toBe(false);
  await network.setPolicy(258, { denyOut: [outsideHost] });
  expect(await isRedirected()).toBe(true);
  await network.clearPolicy(258);
  expect(await isRedirected()).toBe(false);
});

test('flows that are no look-ups keep their state', async () => {
  await network.clearPolicy(258);
  expect(await lab.neighbor.ask({ op: 'hold', name: 'tcp', host: outsideHost, port: 8080 })).toMatch(/^open/);
  await network.setPolicy(258, { denyOut: ['198.51.100.1'] });
  expect(await lab.neighbor.ask({ op: 'ping', name: 'tcp' })).toBe('alive');
});
