import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket, RecordType } from 'dns-packet';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { addressRecord, standInReply } from '../testing/dns-stand-in.ts';
import { openLoopbackLab } from '../testing/loopback-lab.ts';
import type { LoopbackLab } from '../testing/loopback-lab.ts';

let lab: LoopbackLab;
/** Names are kept for a while, so each test asks for its own. */
let last = 0;
const newName = (): string => `n${(last += 1)}.example.com`;
const newSandbox = (): string => `127.12.0.${(last += 1)}`;
const open = '127.12.1.1';

beforeAll(async () => {
  lab = await openLoopbackLab();
  await lab.setPolicy(open, { limits: { bytes: 1_000_000n } });
});
beforeEach(() => {
  lab.dns.behave = ({ name }) => ({ answers: [addressRecord(name, '127.50.0.1')] });
});
afterAll(async () => await lab[Symbol.asyncDispose]());

const data = (reply: DecodedPacket): unknown[] =>
  (reply.answers ?? []).map((record) => ('data' in record ? record.data : undefined));
const cname = (name: string, target: string): Answer => ({ type: 'CNAME', name, data: target, ttl: 60 });

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

const bad: Record<string, (query: DecodedPacket) => Buffer> = {
  'another id': (query) => standInReply({ ...query, id: ((query.id ?? 0) + 1) & 0xffff }, evil('n.example.com')),
  'another question': (query) =>
    standInReply({ ...query, questions: [{ type: 'A', name: 'other.example.com' }] }, evil('other.example.com')),
  'another type': (query) => standInReply({ ...query, questions: [{ type: 'MX', name: nameOf(query) }] }, {}),
  'two questions': (query) =>
    standInReply({ ...query, questions: [...(query.questions ?? []), ...(query.questions ?? [])] }, {}),
  'the query itself': (query) => encode({ ...query, type: 'query' }),
  'a header only': (query) => standInReply(query, {}).subarray(0, 12),
  'three bytes': () => Buffer.from('abc'),
  'a pointer to itself': (query) => {
    const reply = standInReply(query, evil(nameOf(query)));
    const at = reply.length - 14 - Buffer.byteLength(nameOf(query)) - 2 - 0;
    reply.writeUInt16BE(0xc000 | at, at);
    return reply;
  },
  'a count of records that are not there': (query) => {
    const reply = standInReply(query, {});
    reply.writeUInt16BE(0xffff, 6);
    return reply;
  },
};
const nameOf = (query: DecodedPacket): string => query.questions?.[0]?.name ?? '';
const evil = (name: string): { answers: Answer[] } => ({ answers: [addressRecord(name, '127.50.0.66')] });

test.each(Object.keys(bad))('a message with %s is ignored, and the right one after it counts', async (kind) => {
  const name = newName();
  lab.dns.behave = (_, query) => [
    bad[kind]?.(query) ?? Buffer.alloc(0),
    standInReply(query, { answers: [addressRecord(name, '127.50.0.4')] }),
  ];
  expect(data(await lab.lookup(open, name))).toEqual(['127.50.0.4']);
});

test('a server that floods with wrong messages gets no more time', async () => {
  const name = newName();
  lab.dns.behave = (_, query) => Array.from({ length: 200 }, () => bad['another id']?.(query) ?? Buffer.alloc(0));
  expect((await lab.lookup(open, name)).rcode).toBe('SERVFAIL');
});

test('an answer that is too long for UDP comes over TCP, to us and to the sandbox', async () => {
  const name = newName();
  const answers = Array.from({ length: 60 }, (_, index) => addressRecord(name, `127.50.1.${index}`));
  lab.dns.behave = (_question, _query, over) => (over === 'udp' ? { isTruncated: true } : { answers });
  const reply = await lab.lookup(open, name);
  expect(reply.flag_tc).toBe(true);
  expect(reply.answers).toHaveLength(0);
  expect((await lookupByTcp(open, name)).answers).toHaveLength(60);
});

async function lookupByTcp(from: string, name: string, type = 'A'): Promise<DecodedPacket> {
  const socket = connect({ host: '127.0.0.1', port: lab.egress.dnsPort, localAddress: from });
  const query = encode({ type: 'query', id: 9, flags: 0x100, questions: [{ name, type: type as RecordType }] });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  for (const byte of Buffer.concat([length, query])) socket.write(Buffer.from([byte]));
  let received = Buffer.alloc(0);
  while (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) {
    const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer];
    received = Buffer.concat([received, bytes]);
  }
  socket.destroy();
  return decode(received.subarray(2));
}

test('a server that never answers costs a limited time, and the sandbox hears of it', async () => {
  const name = newName();
  lab.dns.behave = () => undefined;
  const started = performance.now();
  expect((await lab.lookup(open, name)).rcode).toBe('SERVFAIL');
  expect(performance.now() - started).toBeLessThan(5000);
  expect(lab.dns.asked.filter((asked) => asked === `A ${name}`)).toHaveLength(3);
});

test('identical questions at the same time are asked once, and then kept', async () => {
  const name = newName();
  lab.dns.behave = ({ name: asked }) => ({ answers: [addressRecord(asked, '127.50.0.1', 0)] });
  await Promise.all(Array.from({ length: 20 }, async () => await lab.lookup(open, name)));
  await lab.lookup(open, name);
  expect(lab.dns.asked.filter((asked) => asked === `A ${name}`)).toHaveLength(1);
});

test('one sandbox that asks without end is refused, and others are answered', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1n } });
  const name = newName();
  const codes = await Promise.all(
    Array.from(
      { length: 700 },
      async () =>
        await lab.lookup(from, name).then(
          ({ rcode }) => rcode,
          () => 'lost',
        ),
    ),
  );
  expect(codes.filter((code) => code === 'REFUSED').length).toBeGreaterThan(100);
  expect((await lab.lookup(open, name)).rcode).toBe('NOERROR');
  const record = await lab.record((one) => one.sandboxId === `sb-${from}`);
  expect(record.reason).toBe('rate_limit');
  expect(lab.records.filter((one) => one.sandboxId === `sb-${from}`)).toHaveLength(1);
});

test('data in names is noticed: many different long labels are refused', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { denyOut: ['0.0.0.0/0'], allowOut: ['*.tunnel.example'] });
  const codes: string[] = [];
  for (let index = 0; index < 60; index += 1) {
    const label = Buffer.from(`data ${index} that somebody wants to have`).toString('hex').slice(0, 60);
    codes.push((await lab.lookup(from, `${label}.x.tunnel.example`)).rcode);
  }
  expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'NOERROR'));
  expect(codes.slice(-20)).toEqual(Array.from({ length: 20 }, () => 'REFUSED'));
  expect((await lab.record((one) => one.reason === 'tunnel_suspected')).sandboxId).toBe(`sb-${from}`);
});

test('ordinary names of many kinds are not taken for a tunnel', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1n } });
  const names = ['registry.npmjs.org', 'files.pythonhosted.org', 'a1b2c3d4e5f6.s3.eu-central-1.amazonaws.com'];
  for (let round = 0; round < 20; round += 1)
    for (const name of [...names, `host-${round}.internal-services.example.co.uk`])
      expect((await lab.lookup(from, name)).rcode).toBe('NOERROR');
});

test.each<[string, Buffer, string | undefined]>([
  ['an answer', encode({ type: 'response', id: 5, questions: [{ type: 'A', name: 'a.example' }] }), undefined],
  [
    'two questions',
    encode({ type: 'query', id: 5, questions: ['a', 'b'].map((name) => ({ type: 'A', name })) }),
    'FORMERR',
  ],
  ['no question', encode({ type: 'query', id: 5 }), 'FORMERR'],
  [
    'another operation',
    encode({ type: 'query', id: 5, flags: 0x2800, questions: [{ type: 'A', name: 'a' }] }),
    'NOTIMP',
  ],
  [
    'another class',
    encode({ type: 'query', id: 5, questions: [{ type: 'TXT', class: 'CH', name: 'version.bind' }] }),
    'FORMERR',
  ],
  [
    'a name that is not one',
    encode({ type: 'query', id: 5, questions: [{ type: 'A', name: 'a b.example' }] }),
    'FORMERR',
  ],
  [
    'a name that is an address',
    encode({ type: 'query', id: 5, questions: [{ type: 'A', name: '10.0.0.1' }] }),
    'FORMERR',
  ],
  [
    'too many bytes',
    Buffer.concat([encode({ type: 'query', id: 5, questions: [{ type: 'A', name: 'a' }] }), Buffer.alloc(2000)]),
    'FORMERR',
  ],
  ['eleven bytes', Buffer.alloc(11), undefined],
])('a message with %s is handled', async (_, message, rcode) => {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  socket.bind(0, open);
  await once(socket, 'listening');
  socket.send(message, lab.egress.dnsPort, '127.0.0.1');
  const reply = once(socket, 'message', { signal: AbortSignal.timeout(300) }).then(
    ([bytes]) => (decode(bytes as Buffer) as DecodedPacket & { rcode: string }).rcode,
    () => undefined,
  );
  expect(await reply).toBe(rcode);
  socket.close();
});

test('idle and too many connections for look-ups are closed', async () => {
  const from = newSandbox();
  await lab.setPolicy(from, { limits: { bytes: 1n } });
  const sockets = Array.from({ length: 20 }, () =>
    connect({ host: '127.0.0.1', port: lab.egress.dnsPort, localAddress: from }).on('error', () => undefined),
  );
  await sleep(200);
  expect(sockets.filter((socket) => socket.closed)).toHaveLength(4);
  for (const socket of sockets) socket.destroy();
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

/** Asks over UDP with an EDNS record. */
async function lookupWithEdns(name: string, edns: object): Promise<Buffer> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  socket.bind(0, open);
  await once(socket, 'listening');
  const record = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 4096,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    options: [],
  };
  const additionals = [{ ...record, ...edns }] as unknown as Answer[];
  const questions = [{ name, type: 'A' as const }];
  socket.send(encode({ type: 'query', id: 7, flags: 0x0100, questions, additionals }), lab.egress.dnsPort, '127.0.0.1');
  const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
  socket.close();
  return reply;
}

test.each([
  [1, 512],
  [100, 512],
  [512, 512],
  [1000, 1000],
  [65_535, 1232],
])('a reply to one that takes %d bytes over UDP has at most %d', async (udpPayloadSize, maxBytes) => {
  const name = newName();
  const sizes: number[] = [];
  for (const count of [10, 25, 60]) {
    const one = `${count}.${name}`;
    lab.dns.behave = () => ({
      answers: Array.from({ length: count }, (_, index) => addressRecord(one, `127.50.1.${index}`)),
    });
    const reply = await lookupWithEdns(one, { udpPayloadSize });
    sizes.push(reply.length);
    const { answers = [], flag_tc: isCut } = decode(reply) as DecodedPacket & { flag_tc: boolean };
    expect(answers).toHaveLength(isCut ? 0 : count);
  }
  expect(Math.max(...sizes)).toBeLessThanOrEqual(maxBytes);
});

test('nothing of an EDNS record reaches the name server, where it could carry data', async () => {
  const options = [
    { code: 'CLIENT_SUBNET', ip: '198.51.100.0', sourcePrefixLength: 24 },
    { code: 65_001, data: Buffer.from('secret') },
  ];
  let seen: Buffer | undefined;
  lab.dns.behave = ({ name }, query) => {
    seen = encode({ ...query, type: 'query' });
    return { answers: [addressRecord(name, '127.50.0.1')] };
  };
  const name = newName();
  const reply = await lookupWithEdns(name.toUpperCase(), { options, flag_do: true, flags: 0x8000 });
  expect(data(decode(reply))).toEqual(['127.50.0.1']);
  expect(seen?.includes('secret')).toBe(false);
  expect(seen?.includes(Buffer.from([198, 51, 100]))).toBe(false);
  // The case of letters could carry data, too.
  expect(lab.dns.asked.at(-1)).toBe(`A ${name}`);
});
