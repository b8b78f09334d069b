import { describe, expect, test } from 'vitest';
import { canonicalHost } from './canonical-host.ts';
import { canonicalPath } from './canonical-path.ts';
import { canonicalQuery, hasSignatureParameter, parseQuery, writeQuery } from './query.ts';

describe('a host in canonical form', () => {
  test.each([
    ['Example.COM', 'example.com'],
    ['a', 'a'],
    ['a:65535', 'a:65535'],
    ['a:8080', 'a:8080'],
    ['example.com.', 'example.com'],
    ['example.com:80', 'example.com'],
    ['example.com:443', 'example.com'],
    ['example.com.:3000', 'example.com:3000'],
    ['8080-ABC.soulbox.localhost:3443', '8080-abc.soulbox.localhost:3443'],
    ['127.0.0.1:3000', '127.0.0.1:3000'],
    ['[::1]:3000', '[::1]:3000'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['[2001:DB8::0001]:443', '[2001:db8::1]'],
  ])('of %s is %s', (text, host) => {
    expect(canonicalHost(text)).toBe(host);
  });

  test.each([
    ...['', '.', 'a..', 'a b', 'a@b', 'user:pass@a', 'a:', 'a:0', 'a:080', 'a:65536', 'a:80:80', 'a,b', 'a/b', '-a'],
    ...['[::1', '::1', '[::1%eth0]', '[1.2.3.4]', '[]', 'ä.example', 'a\n', 'a:80\n'],
  ])('does not exist for %j', (text) => {
    expect(canonicalHost(text)).toBeUndefined();
  });
});

describe('a path in canonical form', () => {
  test.each([
    ['/', '/'],
    ['/a/b/', '/a/b/'],
    ['/%7Euser/%41%2d', '/~user/A-'],
    ['/a%3bb', '/a%3Bb'],
    ['/%c3%bc', '/%C3%BC'],
    ["/@vite/a:b,c;d=e+f!$&'()*", "/@vite/a:b,c;d=e+f!$&'()*"],
    ['/[a]|{b}', '/%5Ba%5D%7C%7Bb%7D'],
    ['/100%25', '/100%25'],
    ['/a%254', '/a%254'],
    ['/a%25z1', '/a%25z1'],
    ['/...', '/...'],
  ])('of %s is %s', (text, path) => {
    expect(canonicalPath(text)).toEqual({ path });
  });

  test.each([
    ...['/a/../b', '/a/./b', '/..', '/.', '/%2e%2e/b', '/%2E/b', '/.%2e', '/..;x/b', '/%2e%2e%3bx'],
    ...['//', '//a', '/a//b', '/a%2fb', '/a%2Fb', '/a\\b', '/a%5cb', '/%252e%252e/b', '/a%252fb', '/a%25%32%66'],
    ...['/a%00', '/a%0ab', '/a%7f', '/%', '/%4', '/%zz', '/%ff', '/%c3', '/%c0%af', '', 'a', '/ü', '/a b', '/a\u0000'],
  ])('does not exist for %j', (text) => {
    expect(canonicalPath(text)).toHaveProperty('fault');
  });

  test.each([
    ['a', /not a path/],
    ['//', /empty segment/],
    ['/%4', /percent sign/],
    ['/%ff', /UTF-8/],
    ['/..', /dot segment/],
    ['/a%2fb', /slash/],
    ['/%00', /control character/],
    ['/%2541', /encoded twice/],
  ])('that does not exist for %s has a reason', (text, reason) => {
    expect(canonicalPath(text)).toEqual({ fault: expect.stringMatching(reason) as string });
  });

  test('distinguishes a reserved character from its encoding', () => {
    expect(canonicalPath('/%40')).not.toEqual(canonicalPath('/@'));
  });
});

describe('a query in canonical form', () => {
  test.each([
    ['', ''],
    ['b=2&a=1', 'a=1&b=2'],
    ['a=2&a=1', 'a=2&a=1'],
    ['b=1&a=2&b=0', 'a=2&b=1&b=0'],
    ['c=9&b=2&a=3&b=1&a=4&c=8', 'a=3&a=4&b=2&b=1&c=9&c=8'],
    ['a', 'a='],
    ['a=', 'a='],
    ['a=b=c', 'a=b%3Dc'],
    ['a=x+y', 'a=x%20y'],
    ['a=x%20y', 'a=x%20y'],
    ['a=x%2By', 'a=x%2By'],
    ['a=%7e%C3%bc', 'a=~%C3%BC'],
    ["a=!'()*", 'a=%21%27%28%29%2A'],
    ['a=1;b=2', 'a=1%3Bb%3D2'],
    ['A=1&a=2', 'A=1&a=2'],
    ['a=/../x', 'a=%2F..%2Fx'],
    ['a=%252e', 'a=%252e'],
  ])('of %s is %s', (text, query) => {
    const parameters = parseQuery(text) ?? [];
    expect(canonicalQuery(parameters)).toBe(query);
    expect(parseQuery(writeQuery(parameters)), 'of what is passed on').toEqual(parameters);
  });

  test.each(['&', 'a&', '&a', 'a&&b', '=', '=1', 'a=%', 'a=%zz', 'a=%ff', '%c3=1', 'a=ü', 'a= ', 'a=\u0000'])(
    'does not exist for %j',
    (text) => {
      expect(parseQuery(text)).toBeUndefined();
    },
  );

  test.each([
    'soulbox-key=x',
    'a=1&soulbox-signature=x',
    'SOULBOX-KEY=1',
    '%73oulbox-key=1',
    '%53%4Fulbox%2dkey=1',
    'soulbox-x',
    '%73oulbox-%zz=1',
    '&&soulbox-once=%',
  ])('counts as signed: %s', (query) => {
    expect(hasSignatureParameter(query)).toBe(true);
  });

  test.each(['', 'a=soulbox-key', 'xsoulbox-key=1', 'soulbox=1', '%2573oulbox-key=1', 'signature=v1_x'])(
    'does not count as signed: %j',
    (query) => {
      expect(hasSignatureParameter(query)).toBe(false);
    },
  );
});
