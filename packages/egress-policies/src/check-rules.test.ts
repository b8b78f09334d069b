import { describe, expect, test } from 'vitest';
import { checkIdentityTokens, checkRules } from './check-rules.ts';
import type { RuleToCheck } from './check-rules.ts';

const rule = (headers: Record<string, string> = {}, requests: RuleToCheck['requests'] = []): RuleToCheck => ({
  headers,
  requests,
});
const refusal = (work: () => void): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('rules', () => {
  test('of all forms are accepted, up to the limits', () => {
    const hosts = Array.from({ length: 8 }, (_, n) => [`h${n}.test`, rule()]);
    const headers = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`x-${n}`.padEnd(64, 'a'), 'v'.repeat(2048)]),
    );
    const rules = {
      ...(Object.fromEntries(hosts) as Record<string, RuleToCheck>),
      'B\u00fccher.test': rule(headers),
      '*.b\u00fccher.test': rule({ Authorization: 'Bearer ${e2b.secrets.key} ${e2b.identity.tokens.cloud} ${HOME}' }, [
        { methods: ['GET', 'M-SEARCH'], paths: ['/v1/*', '*', '/a%20b'] },
      ]),
    };
    expect(() => checkRules(rules, { cloud: { audience: 'a', tokenType: 'JWT-SVID' } })).not.toThrow();
  });

  test.each<[string, Record<string, RuleToCheck>, RegExp]>([
    ['11 hosts', Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`h${n}.test`, rule()])), /11 hosts/],
    ['an address', { '1.2.3.4': rule() }, /neither a host name/],
    ['a host with a port', { 'a.test:443': rule() }, /neither a host name/],
    ['a wildcard in the middle', { 'a.*.test': rule() }, /neither a host name/],
    ['a host twice, in two spellings', { 'A.test': rule(), 'a.test.': rule() }, /"a\.test" twice/],
    [
      '21 headers',
      { 'a.test': rule(Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`x${n}`, '']))) },
      /21 headers/,
    ],
    ['a header name that is long', { 'a.test': rule({ ['x'.repeat(65)]: '' }) }, /no name of at most 64/],
    ['a header name with a space', { 'a.test': rule({ 'x y': '' }) }, /no name/],
    ['an empty header name', { 'a.test': rule({ '': '' }) }, /no name/],
    ['a header twice, in two spellings', { 'a.test': rule({ 'X-A': '', 'x-a': '' }) }, /"x-a" twice/],
    ['a value that is long', { 'a.test': rule({ x: 'v'.repeat(2049) }) }, /too long or has control/],
    ['a line break', { 'a.test': rule({ x: 'a\r\nhost: b' }) }, /too long or has control/],
    ['a letter beyond ASCII', { 'a.test': rule({ x: 'caf\u00e9' }) }, /too long or has control/],
    ['a placeholder of nothing', { 'a.test': rule({ x: '${e2b.secrets.}' }) }, /names nothing/],
    ['a placeholder with a path', { 'a.test': rule({ x: '${e2b.secrets.a/b}' }) }, /names nothing/],
    ['a token that is not declared', { 'a.test': rule({ x: '${e2b.identity.tokens.other}' }) }, /does not declare/],
    [
      'a token named as a property of objects',
      { 'a.test': rule({ x: '${e2b.identity.tokens.toString}' }) },
      /does not declare/,
    ],
    ['a method in lower case', { 'a.test': rule({}, [{ methods: ['get'], paths: [] }]) }, /the method "get"/],
    ['a path without a slash', { 'a.test': rule({}, [{ methods: [], paths: ['v1'] }]) }, /the path "v1"/],
    ['a path with a query', { 'a.test': rule({}, [{ methods: [], paths: ['/a?b'] }]) }, /has no query/],
    ['a path with many wildcards', { 'a.test': rule({}, [{ methods: [], paths: ['/*'.repeat(9)] }]) }, /the path/],
    [
      '51 requests',
      {
        'a.test': rule(
          {},
          Array.from({ length: 51 }, () => ({ methods: [], paths: [] })),
        ),
      },
      /51 requests/,
    ],
  ])('with %s are refused', (_, rules, message) => {
    const error = refusal(() => checkRules(rules, { cloud: { audience: 'a', tokenType: 'JWT-SVID' } }));
    expect(error).toMatchObject({ reason: 'bad_request', message: expect.stringMatching(message) as string });
  });

  test.each([
    'Host',
    'content-length',
    'Transfer-Encoding',
    'connection',
    'Upgrade',
    'te',
    'trailer',
    'proxy-authorization',
  ])('cannot set %s, which frames the message or belongs to the connection', (name) => {
    expect(refusal(() => checkRules({ 'a.test': rule({ [name]: 'x' }) }, {}))).toMatchObject({ reason: 'bad_request' });
  });
});

describe('identity tokens', () => {
  const token = { audience: 'https://a.test', tokenType: 'JWT-SVID' };

  test('are accepted, five at most', () => {
    expect(() => checkIdentityTokens({ a: token, 'b-c_1': token })).not.toThrow();
    const six = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`t${n}`, token]));
    expect(refusal(() => checkIdentityTokens(six))).toMatchObject({ reason: 'bad_request' });
  });

  test.each([
    ['a b', token],
    ['', token],
    ['a', { ...token, tokenType: 'JWT' }],
    ['a', { ...token, audience: '' }],
    ['a', { ...token, audience: 'x'.repeat(513) }],
    ['a', { ...token, audience: 'a b' }],
  ])('with the name %j and %j are refused', (name, value) => {
    expect(refusal(() => checkIdentityTokens({ [name]: value }))).toMatchObject({ reason: 'bad_request' });
  });
});
