import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { localIpv4, localIpv6, readLocalAddresses } from './local-addresses.ts';
import { createOutsidePolicy } from './outside-policy.ts';

const closed = createOutsidePolicy([], () => []);
const isOpen = (address: string): boolean => closed.isOpen(address);

describe('ranges that are forbidden to everyone', () => {
  test.each([
    ['this network', '0.0.0.0', '0.255.255.255'],
    ['private (10)', '10.0.0.0', '10.255.255.255'],
    ['carrier-grade NAT', '100.64.0.0', '100.127.255.255'],
    ['loopback', '127.0.0.0', '127.255.255.255'],
    ["Azure's WireServer", '168.63.129.16', '168.63.129.16'],
    ['link-local', '169.254.0.0', '169.254.255.255'],
    ['private (172)', '172.16.0.0', '172.31.255.255'],
    ['protocol assignments', '192.0.0.0', '192.0.0.255'],
    ["Oracle's metadata service", '192.0.0.192', '192.0.0.192'],
    ['private (192)', '192.168.0.0', '192.168.255.255'],
    ['benchmarking', '198.18.0.0', '198.19.255.255'],
    ['multicast', '224.0.0.0', '239.255.255.255'],
    ['reserved', '240.0.0.0', '255.255.255.255'],
  ])('%s, from %s to %s', (_, first, last) => {
    expect([isOpen(first), isOpen(last)]).toEqual([false, false]);
  });

  test.each(['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'])(
    '%s, next to a forbidden range, is open',
    (address) => {
      expect(isOpen(address)).toBe(true);
    },
  );

  test.each(['168.63.129.15', '168.63.129.17', '169.253.255.255', '172.15.255.255', '172.32.0.0', '191.255.255.255'])(
    '%s, next to a forbidden range, is open',
    (address) => {
      expect(isOpen(address)).toBe(true);
    },
  );

  test.each(['192.0.1.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255'])(
    '%s, next to a forbidden range, is open',
    (address) => {
      expect(isOpen(address)).toBe(true);
    },
  );

  test.each([
    '::',
    '::1',
    '::ffff:10.0.0.1',
    'fe80::1',
    'fc00::1',
    'fd00::1',
    'ff02::1',
    '64:ff9b::a00:1',
    '::10.0.0.1',
    '::ffff:8.8.8.8',
  ])('the IPv6 address %s', (address) => {
    expect(isOpen(address)).toBe(false);
  });

  test('text that is not an address is closed, and global IPv6 is open', () => {
    for (const name of ['', 'localhost', '10.0.0', '1.2.3.4.5']) expect(isOpen(name), name).toBe(false);
    for (const address of ['2606:4700::1111', '2a00:1450::1']) expect(isOpen(address), address).toBe(true);
  });
});

test.each([
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  '168.63.129.16',
  '192.88.99.1',
  'fe80::1%lo',
  '2606:4700::1%lo',
])('%s is closed, although it looks public', (address) => {
  expect(isOpen(address)).toBe(false);
});

test('ranges that the operator denies are closed as well, in both families', () => {
  const policy = createOutsidePolicy(['198.51.100.0/24', '2606:4700::/32'], () => []);
  for (const address of ['198.51.100.7', '2606:4700::1111', '10.0.0.1'])
    expect(policy.isOpen(address), address).toBe(false);
  for (const address of ['198.51.101.7', '2606:4701::1111']) expect(policy.isOpen(address), address).toBe(true);
});

describe("the host's own addresses", () => {
  test('are read from the routes of both families, including ranges', () => {
    const trie =
      'Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 198.51.100.0\n        /24 link UNICAST\n     |-- 198.51.100.4\n        /32 host LOCAL\n        /30 host LOCAL\n     |-- 198.51.100.255\n        /32 link BROADCAST\n';
    expect(localIpv4(trie)).toEqual(['198.51.100.4/32', '198.51.100.4/30']);
    const zeros = '0'.repeat(32);
    const line = (address: string, flags: string): string =>
      `${address} 80 ${zeros} 00 ${zeros} 00000000 00000002 00000000 ${flags}     eth0\n`;
    const own = '26064700000000000000000000001234';
    expect(localIpv6(line(own, '80200001') + line('26064700000000000000000000005678', '00000001'))).toEqual([
      '2606:4700:0000:0000:0000:0000:0000:1234/128',
    ]);
  });

  test('are closed as soon as the host has them and open again after it lost them, however they are assigned', async () => {
    const policy = createOutsidePolicy();
    const addresses = ['203.0.113.77', '203.0.113.130', '2606:4700:77::1'];
    const open = async (): Promise<boolean[]> => {
      // As long as a reading stays valid.
      await sleep(120);
      return addresses.map((address) => policy.isOpen(address));
    };
    expect(await open()).toEqual([true, true, true]);
    const ip = async (...args: string[]): Promise<string> => await run('ip', args);
    await ip('link', 'add', 'sbpub0', 'type', 'veth', 'peer', 'name', 'sbpub1');
    try {
      await ip('link', 'set', 'sbpub0', 'up');
      await ip('addr', 'add', '203.0.113.77/32', 'dev', 'sbpub0');
      expect(await open()).toEqual([false, true, true]);
      await ip('addr', 'add', '2606:4700:77::1/128', 'dev', 'sbpub0', 'nodad');
      // Clouds do this for the address of a load balancer: no interface has it.
      await ip('route', 'add', 'local', '203.0.113.128/30', 'dev', 'sbpub0');
      expect(await open()).toEqual([false, false, false]);
    } finally {
      await ip('link', 'del', 'sbpub0');
    }
    expect(await open()).toEqual([true, true, true]);
  });

  test('equal the list that ip(8) reports', () => {
    const listing = spawnSync('ip', ['-json', 'address', 'show', 'dev', 'lo'], { encoding: 'utf8' }).stdout;
    const own = (JSON.parse(listing) as { addr_info: { local: string }[] }[]).flatMap((link) => link.addr_info);
    const read = readLocalAddresses().join(' ');
    for (const { local } of own) if (local.includes('.')) expect(read).toContain(`${local}/`);
    expect(own.length).toBeGreaterThan(0);
  });
});
