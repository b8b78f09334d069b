import { expect, it } from 'vitest';
import { canonicalPolicy, networkFacts } from './network-facts.ts';

const canary = 'canary-credential';
const policy = {
  allowOut: ['b.example', 'a.example', 'a.example'],
  denyOut: ['0.0.0.0/0'],
  rules: {
    'API.example.com': [{ transform: { headers: { 'X-Key': `${canary} \${e2b.secrets.key}` } } }],
    '*.example.org': [{ requests: [{ methods: ['GET'], paths: ['/v1/*'] }] }],
  },
  egressProxy: { address: 'proxy.example:1080', username: canary, password: canary },
};

it('a policy is recorded by its digest, what it contains, and the hosts of its rules', () => {
  expect(networkFacts(policy)).toEqual({
    digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    ...{ allowOut: 2, denyOut: 1, rules: 2, ruleHosts: '*.example.org,api.example.com', placeholders: 1 },
    ...{ internet: true, learn: false, limits: false, proxy: true },
  });
  expect(networkFacts({})).toMatchObject({ rules: 0, placeholders: 0, proxy: false });
  expect(networkFacts({})).not.toHaveProperty('ruleHosts');
});

it('the canonical form is that of docs/audit.md, and contains no credential', () => {
  expect(canonicalPolicy(policy)).toBe(
    '{"allowOut":["a.example","b.example"],"allow_internet_access":true,"denyOut":["0.0.0.0/0"],' +
      '"egressProxy":"proxy.example:1080","learn":false,"limits":{},"rules":{' +
      '"*.example.org":{"headers":{},"requests":[{"methods":["GET"],"paths":["/v1/*"]}]},' +
      '"api.example.com":{"headers":{"x-key":"***${e2b.secrets.key}"},"requests":[]}}}',
  );
});

it('the digest is the same in whatever order a policy is written, and with other credentials', () => {
  const same = {
    egressProxy: { password: 'other', address: 'proxy.example:1080' },
    rules: {
      '*.example.org': [{ requests: [{ paths: ['/v1/*'], methods: ['GET'] }] }],
      'api.example.com.': [{ transform: { headers: { 'x-key': 'other ${e2b.secrets.key}' } } }],
    },
    denyOut: ['0.0.0.0/0'],
    allowOut: ['a.example', 'b.example'],
    allow_internet_access: true,
  };
  expect(networkFacts(same)).toEqual(networkFacts(policy));
});

it.each([
  { ...policy, allowOut: ['a.example'] },
  { ...policy, denyOut: [] },
  { ...policy, learn: true },
  { ...policy, limits: { bytes: 1 } },
  { ...policy, allow_internet_access: false },
  { ...policy, egressProxy: { address: 'other.example:1080' } },
  { ...policy, rules: {} },
  { ...policy, rules: { 'api.example.com': [{ transform: { headers: { 'x-key': '${e2b.secrets.other}' } } }] } },
])('another policy has another digest (%#)', (other) => {
  expect(networkFacts(other)['digest']).not.toBe(networkFacts(policy)['digest']);
});
