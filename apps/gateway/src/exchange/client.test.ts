import { expect, test } from 'vitest';
import { createClientReader } from './client.ts';

const read = createClientReader(['10.0.0.0/8', '2001:db8::1']);
const from = (remoteAddress: string, ...forwarded: string[]) =>
  read(
    { remoteAddress, secure: false },
    forwarded.flatMap((value) => ['X-Forwarded-For', value]),
  ).remoteAddress;

test.each([
  ['nothing is believed of a client', '192.0.2.1', ['203.0.113.9'], '192.0.2.1'],
  ['a load balancer says who asked it', '10.0.0.1', ['203.0.113.9'], '203.0.113.9'],
  [
    'what the client wrote itself stands left and is not believed',
    '10.0.0.1',
    ['127.0.0.1, 203.0.113.9'],
    '203.0.113.9',
  ],
  ['two headers are one list', '10.0.0.1', ['127.0.0.1', '203.0.113.9'], '203.0.113.9'],
  ['a chain of trusted proxies is followed', '2001:db8::1', ['203.0.113.9, 10.1.1.1, 10.2.2.2'], '203.0.113.9'],
  ['a client inside the trusted networks is itself', '10.0.0.1', ['10.9.9.9'], '10.9.9.9'],
  ['a dual-stack socket shows the same address', '::ffff:10.0.0.1', ['::ffff:203.0.113.9'], '203.0.113.9'],
  ['what is no address ends the list', '10.0.0.1', ['203.0.113.9, unknown'], '10.0.0.1'],
  ['what is no address ends the list behind a proxy, too', '10.0.0.1', ['unknown, 10.3.3.3'], '10.3.3.3'],
  ['no header says nothing', '10.0.0.1', [], '10.0.0.1'],
  ['an endless list is read from its right', '10.0.0.1', [`203.0.113.9${', 10.1.1.1'.repeat(1000)}`], '10.1.1.1'],
])('%s', (_what, remoteAddress, forwarded, expected) => {
  expect(from(remoteAddress, ...forwarded)).toBe(expected);
});

test('TLS ends at the load balancer if it is trusted and says so', () => {
  const headers = ['X-Forwarded-Proto', 'https'];
  expect(read({ remoteAddress: '10.0.0.1', secure: false }, headers).secure).toBe(true);
  expect(read({ remoteAddress: '192.0.2.1', secure: false }, headers).secure).toBe(false);
  expect(read({ remoteAddress: '10.0.0.1', secure: false }, ['X-Forwarded-Proto', 'https, http']).secure).toBe(false);
  expect(createClientReader([])({ remoteAddress: '10.0.0.1', secure: false }, headers).secure).toBe(false);
});

test.each([
  ['127.0.0.1', [], true],
  ['127.1.2.3', [], true],
  ['::1', [], true],
  ['::ffff:127.0.0.1', [], true],
  ['192.0.2.1', [], false],
  ['::ffff:192.0.2.1', [], false],
  ['127.0.0.1', ['127.0.0.0/8'], false],
])('a request from %s with trusted proxies %j is of this host: %s', (remoteAddress, trusted, expected) => {
  expect(createClientReader(trusted)({ remoteAddress, secure: false }, []).local).toBe(expected);
});
