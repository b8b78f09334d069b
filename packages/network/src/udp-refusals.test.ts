import { expect, test } from 'vitest';
import { createAddressPlan } from './address-plan.ts';
import { parseEgressPolicy } from './policy.ts';
import type { EgressPolicy } from './policy.ts';
import { refusalText } from './udp-refusals.ts';

const rulesOf = (policy: EgressPolicy, hasEgress = true): string[] =>
  refusalText(createAddressPlan(3), 7, parseEgressPolicy(policy), { hasEgress })
    .split('\n')
    .filter((line) => line.startsWith('add rule'))
    .map((line) => line.replace('add rule netdev soulbox_3 refuse_7 ', ''));

test('a closed policy refuses everything except allowed targets', () => {
  expect(rulesOf({ allowInternetAccess: false }, false)).toEqual(['ip protocol udp reject']);
  expect(rulesOf({ allowInternetAccess: false })).toEqual(['udp dport 53 accept', 'ip protocol udp reject']);
  expect(rulesOf({ allowInternetAccess: false, allowOut: ['8.8.8.8', '1.1.1.0/24'] })).toEqual([
    'udp dport 53 accept',
    'ip daddr { 1.1.1.0/24, 8.8.8.8 } accept',
    'ip protocol udp reject',
  ]);
});

test('denied targets are refused, except allowed ones', () => {
  expect(rulesOf({ denyOut: ['9.0.0.0/8'], allowOut: ['9.9.9.9'] })).toEqual([
    'udp dport 53 accept',
    'ip daddr { 9.9.9.9 } accept',
    'ip daddr { 9.0.0.0/8 } ip protocol udp reject',
  ]);
});

test("the chain is attached to the slot's own interface and replaces the previous one", () => {
  const lines = refusalText(createAddressPlan(3), 7, parseEgressPolicy({ allowInternetAccess: false })).split('\n');
  expect(lines.slice(0, 8)).toEqual([
    'add table netdev soulbox_3',
    'add chain netdev soulbox_3 refuse_7',
    'flush chain netdev soulbox_3 refuse_7',
    'delete chain netdev soulbox_3 refuse_7',
    'add chain netdev soulbox_3 told_7',
    'flush chain netdev soulbox_3 told_7',
    'delete chain netdev soulbox_3 told_7',
    'add chain netdev soulbox_3 refuse_7 { type filter hook ingress device "sb3x7" priority 0; policy accept; }',
  ]);
});

test('with a log, refusals are told within one limit of the slot and one of all, with the slot', () => {
  const policy = parseEgressPolicy({ denyOut: ['9.0.0.0/8'] });
  const lines = refusalText(createAddressPlan(3), 7, policy, { logGroup: 23_003 }).split('\n');
  const told = 'log prefix "7" group 23003 snaplen 64 reject';
  const rule = 'add rule netdev soulbox_3 told_7';
  expect(lines).toEqual(
    expect.arrayContaining([
      'add limit netdev soulbox_3 told_of_all { rate 500/second burst 1000 packets ; }',
      `${rule} limit rate 2/second burst 20 packets ${told}`,
      `${rule} limit rate 18/second burst 180 packets limit name "told_of_all" ${told}`,
      `${rule} reject`,
    ]),
  );
  expect(lines.at(-2)).toBe('add rule netdev soulbox_3 refuse_7 ip daddr { 9.0.0.0/8 } ip protocol udp goto told_7');
});
