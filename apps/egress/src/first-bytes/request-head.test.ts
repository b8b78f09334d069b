/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { headMaxBytes, parseRequestHead } from './request-head.ts';

const parse = (text: string): ReturnType<typeof parseRequestHead> => parseRequestHead(Buffer.from(text, 'latin1'));
const nameIn = (text: string): string | undefined => {
  const head = parse(text);
  if (head.state !== 'complete') throw new Error(`the head is ${head.state}`);
  return head.name;
};

test.each([
  ['GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'a.example'],
  ['GET / HTTP/1.1\r\nhOsT:\tA.EXAMPLE.:8080 \r\n\r\n', 'a.example'],
  ['GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n', 'a.example'],
  ['GET http://A.example:80?q HTTP/1.1\r\nHost: a.example:8080\r\n\r\n', 'a.example'],
  ['OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n', 'a.example'],
  ['GET / HTTP/1.0\r\n\r\n', undefined],
  ['GET / HTTP/1.1\r\nHost:\r\n\r\n', undefined],
  ['GET / HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n', undefined],
  ['GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n', undefined],
  ['GET / HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n', undefined],
])('the name of %j is %s', (text, name) => {
  expect(nameIn(text)).toBe(name);
});

test.each([
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nhost: b.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example/b.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost : a.example\r\n\r\n',
  'GET / HTTP/1.1\r\n Host: a.example\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\n folded\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\nX: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\rX: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\0\r\n\r\n',
  'GET / HTTP/1.1\nHost: a.example\n\n',
  'GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET http://a.example@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET a.example HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'connect a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'GET / HTTP/1.2\r\nHost: a.example\r\n\r\n',
  'GET / HTTP/2.0\r\nHost: a.example\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET /\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1, 1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0x1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9999999999999999\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n',
  'GET / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n',
])('%j is bad', (text) => {
  expect(parse(text)).toEqual({ state: 'bad' });
});

test('at every split of the bytes the first part is incomplete', () => {
  const text = 'POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n';
  for (let length = 0; length < text.length; length += 1)
    expect(parse(text.slice(0, length)), text.slice(0, length)).toEqual({ state: 'incomplete' });
  expect(parse(`${text}abc`)).toMatchObject({ state: 'complete', headBytes: text.length, framing: { bytes: 3 } });
});

test('a head that never ends is bad at the limit', () => {
  const head = `GET / HTTP/1.1\r\nHost: a.example\r\nX: ${'x'.repeat(headMaxBytes)}`;
  expect(parse(head.slice(0, headMaxBytes - 1))).toEqual({ state: 'incomplete' });
  expect(parse(head)).toEqual({ state: 'bad' });
  expect(parse(`${head}\r\n\r\n`)).toEqual({ state: 'bad' });
});

test('arbitrary header lines never throw, and only a whole Host line gives a name', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40, unit: 'binary' }), { maxLength: 6 }), (lines) => {
      const head = parse(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      if (head.state === 'complete' && head.name !== undefined) expect(lines.join('\r\n')).toMatch(/(?:^|\n)host:/i);
    }),
    { numRuns: 2000 },
  );
});
