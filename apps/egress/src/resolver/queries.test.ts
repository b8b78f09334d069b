import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket } from 'dns-packet';
import { expect, test } from 'vitest';
import { addressRecord } from '../testing/dns-stand-in.ts';
import { data, newName, newSandbox, open, useResolverLab } from '../testing/resolver-lab.ts';

const lab = await useResolverLab();

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
