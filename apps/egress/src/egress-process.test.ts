import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openNamespaceLab, otherAddress, outsideAddress, sandboxAddress } from './testing/namespace-lab.ts';
import type { NamespaceLab } from './testing/namespace-lab.ts';

let lab: NamespaceLab;

beforeAll(async () => {
  lab = await openNamespaceLab();
});
afterAll(async () => await lab[Symbol.asyncDispose]());

type Policy = Parameters<NamespaceLab['feed']['put']>[0]['policy'];
const setPolicy = async (policy: Policy, sandboxId = 'sandbox'): Promise<void> =>
  await lab.feed.put({
    address: sandboxAddress,
    sandboxId,
    teamId: 'team',
    ...(policy === undefined ? {} : { policy }),
  });
const talk = async (host: string, port: number, text = ''): Promise<unknown> =>
  await lab.sandbox.ask({ op: 'talk', host, port, text });
const lookup = async (name: string): Promise<unknown> => await lab.sandbox.ask({ op: 'lookup', host: '9.9.9.9', name });
const request = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const named = { denyOut: ['0.0.0.0/0'], allowOut: ['*.example.com', `${outsideAddress}:9000`] };

test('the process has a user of its own, no capabilities, and a filter of system calls', () => {
  const status = readFileSync(`/proc/${lab.pid()}/status`, 'utf8');
  expect(status).toMatch(/^Uid:\t1999999\t1999999\t1999999\t1999999$/m);
  expect(status).toMatch(/^CapEff:\t0+$/m);
  expect(status).toMatch(/^CapBnd:\t0+$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
});

test('before a policy is known, everything is refused', async () => {
  expect(await talk(outsideAddress, 9000)).toBe('ECONNRESET');
  expect(await lookup('a.example.com')).toBe('REFUSED');
});

test('the kernel tells where a connection went: an allowed address is reached, another one is reset', async () => {
  await setPolicy(named);
  expect(await talk(outsideAddress, 9000, 'x')).toBe('hello\nx');
  expect(await talk(otherAddress, 9000, 'x')).toBe('ECONNRESET');
  expect(await talk('10.77.0.1', 9000, 'x')).toBe('ECONNRESET');
});

test('a name is reached at the address that our resolver knows, whatever address the sandbox uses', async () => {
  await setPolicy(named);
  const text = request('a.example.com');
  expect(await talk('198.51.100.1', 80, text)).toBe(`hello\n${text}`);
  expect(await talk(outsideAddress, 80, request('other.example.org'))).toBe('ECONNRESET');
});

test('look-ups are answered by the policy, whichever name server is asked', async () => {
  await setPolicy(named);
  expect(await lookup('a.example.com')).toBe(`NOERROR ${outsideAddress}`);
  expect(await lookup('example.org')).toBe('NXDOMAIN');
});

test('a policy that changes ends an open connection at once', async () => {
  await setPolicy(named);
  await lab.sandbox.ask({ op: 'hold', name: 'kept', host: outsideAddress, port: 9000 });
  const started = performance.now();
  await setPolicy({ allowInternetAccess: false });
  expect(performance.now() - started).toBeLessThan(50);
  await sleep(20);
  expect(await lab.sandbox.ask({ op: 'state', name: 'kept' })).toBe('ECONNRESET');
});

test('the records tell what happened', async () => {
  await sleep(400);
  const found = (wanted: object): object | undefined =>
    lab.records.find((record) =>
      Object.entries(wanted).every(([key, value]) => record[key as keyof typeof record] === value),
    );
  expect(found({ isAllowed: true, address: outsideAddress, port: 9000, reason: '', bytesSent: 1 })).toBeDefined();
  expect(found({ isAllowed: false, address: otherAddress, port: 9000, reason: 'denied' })).toBeDefined();
  expect(found({ isAllowed: true, name: 'a.example.com', protocol: 'http', rule: '*.example.com' })).toBeDefined();
  expect(found({ isAllowed: false, name: 'example.org', protocol: 'dns', reason: 'not_allowed' })).toBeDefined();
  expect(found({ reason: 'policy_changed', isAllowed: true })).toBeDefined();
});

test('after the process was killed, the next one knows all policies and refuses nothing that they allow', async () => {
  await setPolicy(named);
  await lab.sandbox.ask({ op: 'hold', name: 'cut', host: outsideAddress, port: 9000 });
  await lab.restart();
  expect(await lab.sandbox.ask({ op: 'state', name: 'cut' })).not.toBe('open');
  expect(await talk(outsideAddress, 9000, 'x')).toBe('hello\nx');
  expect(await talk(otherAddress, 9000, 'x')).toBe('ECONNRESET');
});
