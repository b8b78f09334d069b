import { expect, it } from 'vitest';
import { createAdmission } from './admission.ts';
import type { HostRecord } from './record.ts';
import type { TenantSandbox } from './table.ts';

type State = HostRecord['state'];

/** Admission reads only the state and the step in progress. */
function sandboxIn(state: State, work?: object): TenantSandbox {
  return { record: { state, work }, live: undefined } as unknown as TenantSandbox;
}

function open(maxSandboxes: number, maxPaused: number, ...sandboxes: TenantSandbox[]) {
  return createAdmission({ maxSandboxes, maxPaused }, () => sandboxes);
}

const full = expect.objectContaining({ reason: 'too_many_sandboxes' }) as Error;
const paused = sandboxIn('paused');

it('admits as many sandboxes as the host may run, and not one more', () => {
  const admission = open(3, 9, sandboxIn('running'), sandboxIn('running'));
  using admitted = admission.enter();
  expect(() => admission.enter()).toThrow(full);
  admitted[Symbol.dispose]();
  admission.enter();
});

it('counts sandboxes that are being made', () => {
  const admission = open(2, 9);
  const admitted = [admission.enter(), admission.enter()];
  expect(() => admission.enter()).toThrow(full);
  admitted[0]?.[Symbol.dispose]();
  admission.enter();
  expect(() => admission.enter()).toThrow(full);
});

it('admits all copies of a fork together, or none', () => {
  const admission = open(10, 9, sandboxIn('running'));
  expect(() => admission.enter(10)).toThrow(full);
  const copies = admission.enter(9);
  expect(() => admission.enter()).toThrow(full);
  copies[Symbol.dispose]();
  admission.enter(9);
});

it.each([
  ['running', undefined, true],
  ['pausing', { promised: false }, true],
  ['pausing', { promised: true }, false],
  ['snapshotting', { from: 'running' }, true],
  ['snapshotting', { from: 'paused' }, false],
  ['paused', undefined, false],
  ['resuming', undefined, false],
] as const)('whether a sandbox that is %s (%j) counts: %s', (state, work, takes) => {
  const enter = () => open(1, 9, sandboxIn(state, work)).enter();
  if (takes) expect(enter).toThrow(full);
  else enter();
});

it('limits the number of paused sandboxes', () => {
  open(1, 2, paused, sandboxIn('running')).checkPaused();
  expect(() => open(1, 2, paused, paused).checkPaused()).toThrow(
    expect.objectContaining({ reason: 'limit_exceeded' }) as Error,
  );
  expect(() => open(1, 0).checkPaused()).toThrow(expect.objectContaining({ reason: 'limit_exceeded' }) as Error);
});
