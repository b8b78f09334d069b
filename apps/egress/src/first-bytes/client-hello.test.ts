/** @module-tag violation */
import { connect } from 'node:tls';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { helloBytes } from '../testing/client-hello.ts';
import { helloMaxBytes, parseClientHello } from './client-hello.ts';

const found = (name: string | undefined): object => ({ state: 'complete', name });

test.each(['TLSv1.2', 'TLSv1.3'] as const)('the name is found in the hello of a real %s client', async (version) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({
    ...{ host: '127.0.0.1', port: (server.address() as AddressInfo).port, servername: 'api.example.com' },
    ...{ minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] },
  });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  expect(parseClientHello(bytes)).toEqual(found('api.example.com'));
  client.destroy();
  socket.destroy();
  server.close();
});

test('the name is found however the hello is divided into records', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 3000 }), (records, padding) => {
      const bytes = helloBytes({ names: ['a.example.com'], records, padding });
      expect(parseClientHello(bytes)).toEqual(found('a.example.com'));
    }),
  );
});

test('a hello in more records than any program sends is not read', () => {
  const inRecords = (count: number): Buffer =>
    helloBytes({ names: ['a.example.com'], records: Array.from({ length: count - 1 }, () => 1) });
  expect(parseClientHello(inRecords(64))).toEqual(found('a.example.com'));
  expect(parseClientHello(inRecords(65))).toEqual({ state: 'bad' });
});

test('at every split of the bytes the first part is incomplete', () => {
  const bytes = helloBytes({ names: ['a.example.com'], records: [3, 50, 1, 1], padding: 30 });
  for (let length = 0; length < bytes.length; length += 1)
    expect(parseClientHello(bytes.subarray(0, length)), `${length} bytes`).toEqual({ state: 'incomplete' });
  expect(parseClientHello(Buffer.concat([bytes, Buffer.from('more')]))).toEqual(found('a.example.com'));
});

test('arbitrary bytes never throw and never name a host', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const { state } = parseClientHello(Buffer.concat([Buffer.from([22, 3, 1]), bytes]));
      expect(['bad', 'incomplete']).toContain(state);
    }),
  );
});

test('a changed byte never throws and never gives a name that is not one', () => {
  const bytes = helloBytes({ names: ['a.example.com'], records: [70], padding: 9 });
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const changed = Buffer.from(bytes);
      changed[at] = value;
      const hello = parseClientHello(changed);
      if (hello.state === 'complete' && hello.name !== undefined) expect(hello.name).toMatch(/^[a-z0-9_.-]+$/);
    }),
    { numRuns: 2000 },
  );
});

test('with Encrypted Client Hello, the outer name is the name', () => {
  expect(parseClientHello(helloBytes({ names: ['outer.example'], hasEch: true }))).toEqual(found('outer.example'));
});

test.each<[string, Parameters<typeof helloBytes>[0]]>([
  ['without extensions', { hasExtensions: false }],
  ['without the extension', {}],
])('a hello %s names no host', (_, options) => {
  expect(parseClientHello(helloBytes(options))).toEqual(found(undefined));
});

test.each<[string, Parameters<typeof helloBytes>[0]]>([
  ['two names', { names: ['a.example', 'b.example'] }],
  ['the same name twice', { names: ['a.example', 'a.example'] }],
  ['two name extensions', { names: ['a.example'], copies: 2 }],
  ['an unknown type of name', { names: ['a.example'], nameType: 1 }],
  ['an empty name', { names: [''] }],
  ['an address as the name', { names: ['203.0.113.7'] }],
  ['a NUL in the name', { names: ['a.example\0.evil.example'] }],
  ['a space in the name', { names: ['a.example b'] }],
  ['characters outside ASCII', { names: ['\u00e4.example'] }],
  ['a name of 300 characters', { names: [`${'a'.repeat(60)}.`.repeat(5)] }],
])('a hello with %s is bad', (_, options) => {
  expect(parseClientHello(helloBytes(options))).toEqual({ state: 'bad' });
});

test('case and a final dot do not make another name', () => {
  expect(parseClientHello(helloBytes({ names: ['A.Example.COM.'] }))).toEqual(found('a.example.com'));
});

test.each<[string, Buffer]>([
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
  ['a record longer than TLS allows', Buffer.from([22, 3, 1, 0x40, 1, 1])],
  ['another record in between', Buffer.from([22, 3, 1, 0, 1, 1, 23, 3, 1, 0, 1, 0])],
  ['another handshake message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ['another version of the record layer', Buffer.from([22, 2, 0, 0, 4, 1, 0, 0, 0])],
])('%s is bad', (_, bytes) => {
  expect(parseClientHello(bytes)).toEqual({ state: 'bad' });
});

test('a hello longer than the limit is bad before it is there', () => {
  const bytes = Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 1]);
  expect(parseClientHello(bytes)).toEqual({ state: 'bad' });
  const slow = Buffer.concat(Array.from({ length: helloMaxBytes / 6 + 1 }, () => Buffer.from([22, 3, 1, 0, 1, 0])));
  slow[5] = 1;
  slow[11] = 0;
  slow[17] = 0x3f;
  expect(parseClientHello(slow)).toEqual({ state: 'bad' });
});
