import type { Answer } from 'dns-packet';
import { expect, test } from 'vitest';
import { addressRecord } from '../testing/dns-stand-in.ts';
import { cname, data, newName, newSandbox, open, useResolverLab } from '../testing/resolver-lab.ts';

const lab = await useResolverLab();

test('an open policy gets the addresses of every name', async () => {
  const reply = await lab.lookup(open, newName());
  expect(reply.rcode).toBe('NOERROR');
  expect(data(reply)).toEqual(['127.50.0.1']);
});

test('a closed policy gets NXDOMAIN at once, and no name server hears of it', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { allowInternetAccess: false });
  const before = lab.dns.asked.length;
  const started = performance.now();
  expect((await lab.lookup(from, newName())).rcode).toBe('NXDOMAIN');
  expect(performance.now() - started).toBeLessThan(50);
  expect(lab.dns.asked).toHaveLength(before);
});

test('a closed policy gets the names that it allows, and no others', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['a.example.org', '*.example.net:8443'] });
  const codes = await Promise.all(
    ['a.example.org', 'A.Example.ORG', 'x.example.net', 'b.a.example.org', 'example.net', 'example.org'].map(
      async (name) => (await lab.lookup(from, name)).rcode,
    ),
  );
  expect(codes).toEqual(['NOERROR', 'NOERROR', 'NOERROR', 'NXDOMAIN', 'NXDOMAIN', 'NXDOMAIN']);
});

test('a change of the policy changes the next answer', async () => {
  const [from, name] = [newSandbox(), newName()];
  await lab.setPolicy(from, { limits: { bytes: 1n } });
  expect((await lab.lookup(from, name)).rcode).toBe('NOERROR');
  await lab.setPolicy(from, { allowInternetAccess: false });
  expect((await lab.lookup(from, name)).rcode).toBe('NXDOMAIN');
});

test('an address without a policy is refused', async () => {
  expect((await lab.lookup(newSandbox(), newName())).rcode).toBe('REFUSED');
});

test('the reply repeats the question in its case', async () => {
  const reply = await lab.lookup(open, 'MiXeD.Example.COM');
  expect(reply.questions?.[0]?.name).toBe('MiXeD.Example.COM');
});

test.each(['AAAA', 'UNKNOWN_65', 'UNKNOWN_64'])('type %s has no records, and is not forwarded', async (type) => {
  const before = lab.dns.asked.length;
  const reply = await lab.lookup(open, newName(), type);
  expect(reply.rcode).toBe('NOERROR');
  expect(reply.answers).toHaveLength(0);
  expect(lab.dns.asked).toHaveLength(before);
});

test.each(['NULL', 'ANY', 'AXFR', 'UNKNOWN_65280', 'HINFO', 'DNSKEY'])('type %s is refused', async (type) => {
  const before = lab.dns.asked.length;
  expect((await lab.lookup(open, newName(), type)).rcode).toBe('REFUSED');
  expect(lab.dns.asked).toHaveLength(before);
});

test('TXT is for open policies only', async () => {
  lab.dns.behave = ({ name }) => ({ answers: [{ type: 'TXT', name, data: ['v=spf1'], ttl: 5 }] });
  expect((await lab.lookup(open, newName(), 'TXT')).answers).toHaveLength(1);
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['a.example.org'] });
  expect((await lab.lookup(from, 'a.example.org', 'TXT')).rcode).toBe('REFUSED');
});

test('names of private addresses are not looked up', async () => {
  lab.dns.behave = ({ name }) => ({ answers: [{ type: 'PTR', name, data: 'inside.example.com', ttl: 5 }] });
  const before = lab.dns.asked.length;
  expect((await lab.lookup(open, '1.0.0.10.in-addr.arpa', 'PTR')).rcode).toBe('NXDOMAIN');
  expect(lab.dns.asked).toHaveLength(before);
  expect(data(await lab.lookup(open, '1.0.50.127.in-addr.arpa', 'PTR'))).toEqual(['inside.example.com']);
});

test('forbidden addresses are left out, and recorded', async () => {
  const name = newName();
  lab.dns.behave = () => ({ answers: [addressRecord(name, '10.0.0.1'), addressRecord(name, '127.50.0.2')] });
  expect(data(await lab.lookup(open, name))).toEqual(['127.50.0.2']);
  const rebound = newName();
  lab.dns.behave = () => ({ answers: [cname(rebound, 'db.inside'), addressRecord('db.inside', '169.254.169.254')] });
  const reply = await lab.lookup(open, rebound);
  expect(reply.rcode).toBe('NOERROR');
  expect(reply.answers).toHaveLength(0);
  const record = await lab.record((one) => one.name === rebound);
  expect(record).toMatchObject({ protocol: 'dns', reason: 'forbidden_address', isAllowed: false });
});

test('a chain of CNAME records is followed, and records beside it are left out', async () => {
  const name = newName();
  lab.dns.behave = () => ({
    answers: [
      cname(name, 'b.test'),
      addressRecord('victim.example.com', '127.50.0.66'),
      cname('b.test', 'c.test'),
      addressRecord('c.test', '127.50.0.3'),
    ],
    additionals: [addressRecord('victim.example.com', '127.50.0.66')],
  });
  const reply = await lab.lookup(open, name);
  expect(data(reply)).toEqual(['b.test', 'c.test', '127.50.0.3']);
  lab.dns.behave = ({ name: asked }) => ({ answers: [addressRecord(asked, '127.50.0.1')] });
  expect(data(await lab.lookup(open, 'victim.example.com'))).toEqual(['127.50.0.1']);
});

test('CNAME records in a circle are an error, not an endless loop', async () => {
  const name = newName();
  lab.dns.behave = () => ({ answers: [cname(name, 'b.test'), cname('b.test', name)] });
  expect((await lab.lookup(open, name)).rcode).toBe('SERVFAIL');
});

test('an allowed name may lead to one that is not, which stays unknown by itself', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['alias.example.org'] });
  lab.dns.behave = () => ({
    answers: [cname('alias.example.org', 'cdn.test'), addressRecord('cdn.test', '127.50.0.4')],
  });
  expect(data(await lab.lookup(from, 'alias.example.org'))).toEqual(['cdn.test', '127.50.0.4']);
  expect((await lab.lookup(from, 'cdn.test')).rcode).toBe('NXDOMAIN');
});

test('records that could hide the server name are left out of every answer', async () => {
  const name = newName();
  const hidden: Answer = { type: 'UNKNOWN_65' as 'NULL', name, data: Buffer.from('00010000', 'hex'), ttl: 5 };
  lab.dns.behave = () => ({ answers: [hidden, addressRecord(name, '127.50.0.5')], additionals: [hidden] });
  const reply = await lab.lookup(open, name);
  expect((reply.answers ?? []).map(({ type }) => type)).toEqual(['A']);
  expect(reply.additionals ?? []).toEqual([]);
});

test.each([
  'localhost',
  'a.localhost',
  'printer.local',
  'metadata.google.internal',
  'x.home.arpa',
  'x.onion',
  'invalid',
])('the name %s is not looked up, unless the policy names it', async (name) => {
  const before = lab.dns.asked.length;
  expect((await lab.lookup(open, name)).rcode).toBe('NXDOMAIN');
  expect(lab.dns.asked).toHaveLength(before);
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: [name] });
  expect((await lab.lookup(from, name)).rcode).toBe('NOERROR');
});

test('the name of a search domain below an allowed name is another name', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['host.example.org'] });
  for (const name of ['host.example.org.corp.example', 'host', 'example.org', 'host.example.org.example.org'])
    expect((await lab.lookup(from, name)).rcode).toBe('NXDOMAIN');
});

test('an international name is known in its ASCII form only', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['bücher.example.org'] });
  expect((await lab.lookup(from, 'xn--bcher-kva.example.org')).rcode).toBe('NOERROR');
  expect((await lab.lookup(from, 'XN--BCHER-KVA.example.org')).rcode).toBe('NOERROR');
  expect((await lab.lookup(from, 'bücher.example.org')).rcode).toBe('FORMERR');
  expect((await lab.lookup(from, 'xn--a.example.org')).rcode).not.toBe('NOERROR');
});
