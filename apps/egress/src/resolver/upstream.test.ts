import { once } from 'node:events';
import { connect } from 'node:net';
import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket, RecordType } from 'dns-packet';
import { expect, test } from 'vitest';
import { addressRecord, standInReply } from '../testing/dns-stand-in.ts';
import { data, newName, open, useResolverLab } from '../testing/resolver-lab.ts';

const lab = await useResolverLab();

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
