import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { silentLogger } from '@soulbox/base/logger';
import { SandboxPolicySchema } from '@soulbox/contract/egress';
import type { NetworkPolicySchema } from '@soulbox/contract/runner';
import { expect, test } from 'vitest';
import { createPolicyTable } from '../policies/policy-table.ts';
import { openJudgedConnection } from './judged-connection.ts';
import type { JudgedConnection } from './judged-connection.ts';

type Policy = MessageInitShape<typeof NetworkPolicySchema>;

/** A connection to 203.0.113.7:80 that asked for `b.example`, and a way to change the policy. */
function open(policy: Policy): { judged: JudgedConnection; change: (policy: Policy) => void } {
  const table = createPolicyTable(silentLogger);
  const change = (next: Policy): void =>
    table.change([create(SandboxPolicySchema, { address: '10.0.0.1', sandboxId: 's', policy: next })], []);
  change(policy);
  const entry = table.find('10.0.0.1');
  if (entry === undefined) throw new Error('no policy');
  const judged = openJudgedConnection(entry, { address: '203.0.113.7', port: 80 });
  judged.judge({ protocol: 'http', name: 'b.example' });
  return { judged, change };
}

const rules = { 'api.example': { headers: { 'x-key': 'v' } } };

test('a connection to a name ends when the policy denies the address to which the name led', () => {
  const { judged, change } = open({ rules });
  judged.connected('b.example', '198.51.100.1');
  change({ rules, denyOut: ['198.51.100.2'] });
  expect(judged.signal.aborted).toBe(false);
  change({ rules, denyOut: ['198.51.100.1'] });
  expect(judged.signal.reason).toMatchObject({ reason: 'policy_changed' });
});

test('a connection that was opened while the policy changed is judged by the new one', () => {
  const { judged, change } = open({ rules });
  change({ rules, denyOut: ['198.51.100.1'] });
  expect(() => judged.connected('b.example', '198.51.100.1')).toThrow();
  expect(judged.signal.reason).toMatchObject({ reason: 'policy_changed' });
});

test('the address of a name that the policy allows does not matter', () => {
  const closed = { rules, denyOut: ['0.0.0.0/0'], allowOut: ['b.example'] };
  const { judged, change } = open(closed);
  judged.connected('b.example', '198.51.100.1');
  change({ ...closed, denyOut: ['0.0.0.0/0', '198.51.100.1'] });
  expect(judged.signal.aborted).toBe(false);
});

test('a connection to a host with a rule ends when other requests are allowed, not when a header changes', () => {
  const requests = [{ methods: ['GET'], paths: ['/v1/*'] }];
  const { judged, change } = open({ rules: { 'b.example': { requests } } });
  change({ rules: { 'b.example': { requests, headers: { 'x-key': 'v' } } } });
  expect(judged.signal.aborted).toBe(false);
  change({ rules: { 'b.example': { requests: [{ methods: ['GET'], paths: ['/v2/*'] }] } } });
  expect(judged.signal.reason).toMatchObject({ reason: 'policy_changed' });
});
