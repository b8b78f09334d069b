import { create } from '@bufbuild/protobuf';
import { silentLogger } from '@soulbox/base/logger';
import { SandboxPolicySchema } from '@soulbox/contract/egress';
import type { SandboxPolicy } from '@soulbox/contract/egress';
import { beforeEach, expect, test } from 'vitest';
import { createPolicyTable } from './policy-table.ts';
import type { PolicyTable } from './policy-table.ts';

const address = '10.0.0.1';
let table: PolicyTable;
beforeEach(() => {
  table = createPolicyTable(silentLogger);
});

const policy = (
  bytes: bigint,
  more: { usedBytes?: bigint; generation?: string; sandboxId?: string } = {},
): SandboxPolicy =>
  create(SandboxPolicySchema, {
    ...{ address, sandboxId: 's', teamId: 't', generation: 'g', ...more },
    policy: { limits: { bytes } },
  });
const usage = () => table.find(address)?.usage;
const count = (bytes: number): number | undefined => usage()?.count('sent', bytes);

test('a limit goes on from what was used before', () => {
  table.replace([policy(100n, { usedBytes: 90n })]);
  expect(count(9)).toBe(0);
  expect(count(1)).toBe(Infinity);
  table.replace([]);
  table.replace([policy(100n, { usedBytes: 100n })]);
  expect(usage()?.admit()).toBe('byte_limit');
});

test('counts are reported once, and that of a removed sandbox, too', () => {
  table.replace([policy(100n, { usedBytes: 5n })]);
  expect(table.takeUsages()).toEqual([]);
  count(10);
  expect(table.takeUsages()).toEqual([{ sandboxId: 's', generation: 'g', bytes: 15 }]);
  expect(table.takeUsages()).toEqual([]);
  count(1);
  table.change([], [address]);
  expect(table.takeUsages()).toEqual([{ sandboxId: 's', generation: 'g', bytes: 16 }]);
  expect(table.takeUsages()).toEqual([]);
});

test('a limit that is lifted reports its last count; without one nothing is counted', () => {
  table.replace([policy(100n)]);
  count(10);
  table.change([policy(0n)], []);
  count(1000);
  expect(table.takeUsages()).toEqual([{ sandboxId: 's', generation: 'g', bytes: 10 }]);
  table.change([policy(100n)], []);
  expect(count(89)).toBe(0);
  expect(count(1)).toBe(Infinity);
});

test('a runner that knows less does not lower a count, and one that starts the sandbox again may raise it', () => {
  table.replace([policy(100n)]);
  count(50);
  table.replace([policy(100n, { usedBytes: 10n })]);
  expect(usage()?.usedBytes()).toBe(50);
  // An estimate of the same run contains headers.
  table.replace([policy(100n, { usedBytes: 60n })]);
  expect(usage()?.usedBytes()).toBe(50);
  table.replace([policy(100n, { usedBytes: 60n, generation: 'next' })]);
  expect(usage()?.usedBytes()).toBe(60);
});

test('a limit that is reached is told once', () => {
  let told = 0;
  table.onUsedUp(() => (told += 1));
  table.replace([policy(100n)]);
  count(99);
  expect(told).toBe(0);
  count(1);
  count(1);
  expect(told).toBe(1);
});

test('another sandbox at the address has a count of its own', () => {
  table.replace([policy(100n)]);
  count(99);
  table.replace([policy(100n, { sandboxId: 'other' })]);
  expect(usage()?.usedBytes()).toBe(0);
  expect(table.takeUsages()).toEqual([{ sandboxId: 's', generation: 'g', bytes: 99 }]);
});
