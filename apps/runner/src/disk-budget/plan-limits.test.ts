import { expect, test } from 'vitest';
import { planLimits } from './plan-limits.ts';
import type { LimitChange, LimitedDisk } from './plan-limits.ts';

const mib = 2 ** 20;

function disk(name: string, allowedMb: number, isStopped = false): LimitedDisk<string> {
  const promisedBytes = isStopped ? 0 : 32 * mib;
  const wantedBytes = isStopped ? 0 : 1024 * mib;
  const demand = { owedBytes: 0, allowedBytes: allowedMb * mib, promisedBytes, wantedBytes, isActive: false };
  return { disk: name, demand, isStopped };
}

const growthOf = (changes: LimitChange<string>[], name: string): number | undefined =>
  changes.find((change) => change.disk === name)?.growthBytes;

test('limits stay as they are while they fit into the room and none is much too low', () => {
  expect(planLimits([disk('a', 400), disk('b', 400)], 900 * mib)).toEqual([]);
});

test('limits that fall are set before limits that rise', () => {
  const changes = planLimits([disk('low', 10), disk('high', 800)], 500 * mib);
  expect(changes.map((change) => change.disk)).toEqual(['high', 'low']);
});

test('a small raise is skipped', () => {
  const changes = planLimits([disk('near', 230), disk('high', 800)], 500 * mib);
  expect(changes.map((change) => change.disk)).toEqual(['high']);
});

test('while a sandbox is frozen the others get no more than their promise', () => {
  const changes = planLimits([disk('runs', 400), disk('frozen', 0, true)], 300 * mib);
  expect(growthOf(changes, 'runs')).toBe(32 * mib);
});
