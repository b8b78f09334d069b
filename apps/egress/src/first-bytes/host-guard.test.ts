/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHostGuard } from './host-guard.ts';

const request = (host: string, rest = '', line = 'GET / HTTP/1.1'): string => `${line}\r\nHost: ${host}\r\n${rest}\r\n`;
const post = (body: string): string =>
  request('a.example', `Content-Length: ${body.length}\r\n`, 'POST / HTTP/1.1') + body;
const chunked = (chunks: string): string =>
  request('a.example', 'Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.1') + chunks;

/** What passes of a text that arrives in pieces of these sizes. */
function passed(text: string, sizes: readonly number[] = []): string {
  const guard = createHostGuard('a.example');
  let out = '';
  let at = 0;
  for (const size of [...sizes, text.length]) {
    const result = guard.fromClient(Buffer.from(text.slice(at, at + size), 'latin1'));
    if (result === 'refused') return 'refused';
    out += result.toString('latin1');
    at += size;
  }
  return out;
}

const conversations = [
  request('a.example').repeat(3),
  request('A.EXAMPLE:80') + post('hello') + request('a.example'),
  post('GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n') + request('a.example'),
  `${chunked('5;x=y\r\nhello\r\n0\r\n\r\n')}${request('a.example')}`,
  `${chunked('1b\r\nGET / HTTP/1.1\r\nHost: e\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n')}${request('a.example')}`,
  `${post('x')}\r\n${request('a.example')}`,
];

test('requests to the same host pass unchanged, however they are divided', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.constantFrom(...conversations), sizes, (text, pieces) => {
      expect(passed(text, pieces)).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test.each(conversations.map((text) => [text]))(
  'after %j, a request to another host is refused at every split',
  (text) => {
    const evil = text + request('evil.example');
    expect(passed(evil)).toBe('refused');
    for (let at = 1; at < evil.length; at += 3) expect(passed(evil, [at])).toBe('refused');
  },
);

test('no byte of a request passes before its host is known', () => {
  const guard = createHostGuard('a.example');
  const text = request('evil.example');
  for (const character of text.slice(0, -1)) expect(guard.fromClient(Buffer.from(character))).toHaveLength(0);
  expect(guard.fromClient(Buffer.from(text.slice(-1)))).toBe('refused');
});

test.each([
  ['a chunk size with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n')],
  ['a chunk size with a prefix', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
  ['an empty chunk size', chunked('\r\nhello\r\n0\r\n\r\n')],
  ['a chunk line that ends with LF', chunked('5\nhello\r\n0\r\n\r\n')],
  ['a chunk that is longer than its size', chunked('4\r\nhello\r\n0\r\n\r\n')],
  ['a trailer that is a request', chunked('0\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n')],
  ['a chunk line without an end', chunked(`5;${'x'.repeat(5000)}`)],
  ['a huge chunk size', chunked('fffffffffffffffff\r\n')],
  ['an upgrade to h2c', request('a.example', 'Connection: Upgrade\r\nUpgrade: h2c\r\n')],
  ['an upgrade to two protocols', request('a.example', 'Upgrade: websocket, h2c\r\n')],
  ['an upgrade after another request', request('a.example') + request('a.example', 'Upgrade: websocket\r\n')],
  ['HTTP/2 after a request', `${request('a.example')}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`],
  ['CONNECT', request('a.example', '', 'CONNECT evil.example:443 HTTP/1.1')],
  ['a request without a host', 'GET / HTTP/1.0\r\n\r\n'],
])('%s is refused', (_, text) => {
  expect(passed(text)).toBe('refused');
});

const upgrade = request('a.example', 'Connection: Upgrade\r\nUpgrade: websocket\r\n');

test('after a WebSocket was accepted, everything passes', () => {
  const guard = createHostGuard('a.example');
  expect(guard.fromClient(Buffer.from(upgrade))).toHaveLength(upgrade.length);
  expect(guard.fromClient(Buffer.from('early'))).toHaveLength(0);
  const accepted = 'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n';
  let out = '';
  for (const character of accepted) out += guard.fromServer(Buffer.from(character)).toString();
  expect(out).toBe('early');
  expect(guard.fromClient(Buffer.from('\x81\x05hello')).toString()).toBe('\x81\x05hello');
});

test('after a WebSocket was declined, requests are judged again', () => {
  const guard = createHostGuard('a.example');
  guard.fromClient(Buffer.from(upgrade + request('evil.example')));
  expect(guard.fromServer(Buffer.from('HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n'))).toBe('refused');
});

test('a client that sends much before the WebSocket is accepted is refused', () => {
  const guard = createHostGuard('a.example');
  guard.fromClient(Buffer.from(upgrade));
  expect(guard.fromClient(Buffer.alloc(65 * 1024))).toBe('refused');
});
