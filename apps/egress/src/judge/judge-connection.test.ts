import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { SandboxPolicySchema } from '@soulbox/contract/egress';
import type { NetworkPolicySchema } from '@soulbox/contract/runner';
import { numberFromAddress } from '@soulbox/network/cidr';
import { expect, test } from 'vitest';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';
import { policedSandboxFromWire } from '../policies/policed-sandbox.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';
import { judgeConnection, needsFirstBytes } from './judge-connection.ts';
import type { Route } from './judge-connection.ts';
import { judgeLookup } from './judge-lookup.ts';

type Policy = MessageInitShape<typeof NetworkPolicySchema>;
const authority = { certificate: 'c', privateKey: 'k' };
const sandboxOf = (policy: Policy, hasAuthority = true): PolicedSandbox =>
  policedSandboxFromWire(
    create(SandboxPolicySchema, { address: '10.0.0.1', policy, ...(hasAuthority ? { authority } : {}) }),
  );
const here = numberFromAddress('203.0.113.7');
const tls = (name?: string): FirstBytes => ({ protocol: 'tls', name });
const http = (name?: string): FirstBytes => ({ protocol: 'http', name });
const other: FirstBytes = { protocol: 'other' };
const judge = (policy: Policy, first?: FirstBytes, port = 443): Route =>
  judgeConnection(sandboxOf(policy), { address: here, port, first });
const kindOf = (route: Route): string => (route.kind === 'refuse' ? route.reason : route.kind);

const closed = { denyOut: ['0.0.0.0/0'] };
const rules = { 'api.example': { headers: { 'x-key': 'v' } }, '*.wild.example': { headers: {} } };
const requestRules = { 'a.example': { requests: [{ methods: ['GET'] }] } };

test.each<[string, Policy, FirstBytes | undefined, number, string]>([
  ['an open policy', {}, undefined, 443, 'to-address'],
  ['a closed policy', { allowInternetAccess: false }, undefined, 443, 'not_allowed'],
  ['a denied address', { denyOut: ['203.0.113.0/24'] }, undefined, 443, 'denied'],
  ['a denied port', { denyOut: ['203.0.113.7:443'] }, undefined, 443, 'denied'],
  ['another port than the denied one', { denyOut: ['203.0.113.7:443'] }, undefined, 80, 'to-address'],
  ['an allowed address', { ...closed, allowOut: ['203.0.113.7'] }, undefined, 25, 'to-address'],
  [
    'an address that is allowed and denied',
    { denyOut: ['203.0.113.7'], allowOut: ['203.0.113.7'] },
    undefined,
    1,
    'to-address',
  ],
  ['another port than the allowed one', { ...closed, allowOut: ['203.0.113.7:80'] }, undefined, 443, 'denied'],
  ['an allowed name by TLS', { ...closed, allowOut: ['a.example'] }, tls('a.example'), 443, 'to-name'],
  ['an allowed name by HTTP', { ...closed, allowOut: ['a.example'] }, http('a.example'), 80, 'to-name'],
  ['a name below the allowed one', { ...closed, allowOut: ['a.example'] }, tls('b.a.example'), 443, 'denied'],
  ['a name below a wildcard', { ...closed, allowOut: ['*.a.example'] }, tls('b.a.example'), 443, 'to-name'],
  ['the name of a wildcard itself', { ...closed, allowOut: ['*.a.example'] }, tls('a.example'), 443, 'denied'],
  ['a name that ends like the wildcard', { ...closed, allowOut: ['*.a.example'] }, tls('evila.example'), 443, 'denied'],
  ['an allowed name on another port', { ...closed, allowOut: ['a.example:8443'] }, tls('a.example'), 443, 'denied'],
  ['an allowed name without ports on 8443', { ...closed, allowOut: ['a.example'] }, undefined, 8443, 'denied'],
  ['no name where only a name could help', { ...closed, allowOut: ['a.example'] }, tls(), 443, 'no_name'],
  ['another protocol there', { ...closed, allowOut: ['a.example'] }, other, 443, 'no_name'],
  ['DNS over HTTPS by its name', { ...closed, allowOut: ['a.example'] }, tls('dns.google'), 443, 'denied'],
  ['DNS over HTTPS by its address', { ...closed, allowOut: ['a.example'] }, tls(), 443, 'no_name'],
  ['DNS over TLS', { ...closed, allowOut: ['a.example'] }, undefined, 853, 'denied'],
  ['DNS over TLS with an allowed name', { ...closed, allowOut: ['a.example'] }, tls('a.example'), 853, 'denied'],
  [
    'a name in its international form',
    { ...closed, allowOut: ['bücher.example'] },
    tls('xn--bcher-kva.example'),
    443,
    'to-name',
  ],
  [
    'a name that only looks like the allowed one',
    { ...closed, allowOut: ['paypal.example'] },
    tls('xn--pypal-4ve.example'),
    443,
    'denied',
  ],
  ['learning from a closed policy', { ...closed, learn: true }, undefined, 25, 'to-address'],
  ['learning from a denied address', { denyOut: ['203.0.113.7'], learn: true }, undefined, 25, 'to-address'],
  ['a host with rules by TLS', { rules }, tls('api.example'), 443, 'intercept'],
  ['a host with rules by HTTP', { rules }, http('api.example'), 80, 'intercept'],
  ['a host below a wildcard with rules', { rules }, tls('x.wild.example'), 443, 'intercept'],
  ['a host with rules that the policy does not allow', { ...closed, rules }, tls('api.example'), 443, 'denied'],
  [
    'a host with rules that the policy allows',
    { ...closed, rules, allowOut: ['api.example'] },
    tls('api.example'),
    443,
    'intercept',
  ],
  ['another host beside rules, by TLS', { rules }, tls('b.example'), 443, 'to-address'],
  ['another host beside rules, by HTTP', { rules }, http('b.example'), 80, 'to-name'],
  ['another protocol beside rules for headers', { rules }, other, 80, 'to-address'],
  ['another protocol beside rules for requests', { rules: requestRules }, other, 80, 'no_name'],
  ['TLS without a name beside rules for requests', { rules: requestRules }, tls(), 443, 'no_name'],
  ['HTTP to an address beside rules for requests', { rules: requestRules }, http(), 80, 'no_name'],
  ['TLS without a name beside rules for headers', { rules }, tls(), 443, 'to-address'],
])('%s', (_, policy, first, port, wanted) => {
  expect(kindOf(judge(policy, first, port))).toBe(wanted);
});

test('without an authority, TLS to a host with rules is refused, not passed', () => {
  const attempt = { address: here, port: 443, first: tls('api.example') };
  expect(judgeConnection(sandboxOf({ rules }, false), attempt)).toMatchObject({ reason: 'request_not_allowed' });
});

test('the rule that decided is named as its creator wrote it', () => {
  expect(judge({ ...closed, allowOut: ['*.Example.com'] }, tls('a.example.com')).rule).toBe('*.Example.com');
  expect(judge({ ...closed, allowOut: ['203.0.113.0/24:1-500'] }).rule).toBe('203.0.113.0/24:1-500');
});

test.each<[string, Policy, number, boolean]>([
  ['an open policy', {}, 443, false],
  ['names on other ports', { ...closed, allowOut: ['a.example'] }, 25, false],
  ['names on this port', { ...closed, allowOut: ['a.example'] }, 443, true],
  ['names beside an allowed address', { ...closed, allowOut: ['a.example', '203.0.113.7'] }, 443, false],
  ['rules for hosts', { rules }, 80, true],
  ['rules for hosts on other ports', { rules }, 25, false],
])('with %s, whether the first bytes are waited for', (_, policy, port, isNeeded) => {
  expect(needsFirstBytes(sandboxOf(policy), here, port)).toBe(isNeeded);
});

test.each<[Policy, string, string, string]>([
  [{}, 'a.example', 'A', 'forward'],
  [{}, 'a.example', 'AAAA', 'empty'],
  [{ allowInternetAccess: false }, 'a.example', 'AAAA', 'nxdomain'],
  [{ allowInternetAccess: false, learn: true }, 'a.example', 'A', 'forward'],
  [{ ...closed, allowOut: ['a.example:8443'] }, 'a.example', 'A', 'forward'],
  [{ ...closed, allowOut: ['a.example'] }, 'a.example', 'TXT', 'refused'],
  [{ ...closed, allowOut: ['203.0.113.7'] }, 'a.example', 'A', 'nxdomain'],
  [{}, 'a.example', 'NULL', 'refused'],
])('with %j, the look-up of %s %s gets %s', (policy, name, type, kind) => {
  expect(judgeLookup(sandboxOf(policy), name, type).kind).toBe(kind);
});

test('exact names have rules before wildcards, and longer wildcards before shorter ones', () => {
  const sandbox = sandboxOf({ rules: { '*.example': {}, 'a.b.example': {}, '*.b.example': {} } });
  expect(sandbox.hostRules.map(({ text }) => text)).toEqual(['a.b.example', '*.b.example', '*.example']);
});

test('a policy that is missing allows nothing', () => {
  const sandbox = policedSandboxFromWire(create(SandboxPolicySchema, { address: '10.0.0.1' }));
  expect(judgeConnection(sandbox, { address: here, port: 1, first: undefined }).kind).toBe('refuse');
});

test('the host of a proxy is in the form of names, and an address stays as it is', () => {
  const hostOf = (address: string): string | undefined =>
    sandboxOf({ egressProxy: { address, username: '', password: '' } }).proxy?.host;
  expect([hostOf('Proxy.Example.:1080'), hostOf('203.0.113.7:1080')]).toEqual(['proxy.example', '203.0.113.7']);
});
