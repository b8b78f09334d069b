import { expect, test } from 'vitest';
import { allowedSyscalls, refusedSyscalls } from '../oci/seccomp-syscalls.ts';
import { answerOf } from '../testing/answer-of.ts';
import { createSeccompProfile } from './seccomp-profile.ts';

const profile = createSeccompProfile();
const actionsOf = (name: string): readonly string[] =>
  profile.syscalls.filter(({ names }) => names.includes(name)).map(({ action }) => action);

test('the lists are those of the container driver', () => {
  for (const name of allowedSyscalls.filter((name) => name !== 'kill'))
    expect(actionsOf(name), name).toEqual(['SCMP_ACT_ALLOW']);
  for (const name of refusedSyscalls) expect(actionsOf(name), name).toEqual(['SCMP_ACT_ERRNO']);
});

test('a call on no list returns the same as on a kernel without it', () => {
  expect(profile.defaultAction).toBe('SCMP_ACT_TRACE');
  for (const name of ['clone3', 'keyctl', 'io_uring_setup', 'userfaultfd']) expect(actionsOf(name)).toEqual([]);
});

test('no rule uses an error that runsc would turn into another one', () => {
  expect(JSON.stringify(profile)).not.toContain('errnoRet');
});

const allowed = 'SCMP_ACT_ALLOW';
const notPermitted = 'SCMP_ACT_ERRNO';
const unknown = 'SCMP_ACT_TRACE';

test('signals may be sent to all processes but init, which may only be checked for existence', () => {
  expect(answerOf(profile, 'kill', 1, 0)).toBe(allowed);
  for (const signal of [1, 9, 15, 64]) expect(answerOf(profile, 'kill', 1, signal)).toBe(notPermitted);
  // 0 and numbers above 31 bits: the own process group and others, in the form that the kernel gets.
  for (const pid of [0, 2, 1000, 2 ** 64 - 1])
    for (const signal of [0, 9]) expect(answerOf(profile, 'kill', pid, signal)).toBe(allowed);
});

test('a close_range of all descriptors, which gVisor refuses, is unknown', () => {
  expect(answerOf(profile, 'close_range', 3, 0xffff_ffff)).toBe(unknown);
  expect(answerOf(profile, 'close_range', 3, 1000)).toBe(allowed);
});

test("gVisor's kernel, not the filter, refuses socket families", () => {
  for (const family of [1, 2, 10, 16, 17, 40])
    for (const protocol of [0, 9, 262]) expect(answerOf(profile, 'socket', family, 1, protocol)).toBe(allowed);
});

test('calls that the container allows by argument are allowed with the same arguments', () => {
  const [asFork, newUser] = [17, 0x10000000];
  expect(answerOf(profile, 'clone', asFork)).toBe(allowed);
  expect(answerOf(profile, 'clone', asFork | newUser)).toBe(notPermitted);
  expect(answerOf(profile, 'personality', 0)).toBe(allowed);
  expect(answerOf(profile, 'personality', 0x0040000)).toBe(unknown);
  expect(answerOf(profile, 'socketpair', 1)).toBe(allowed);
  expect(answerOf(profile, 'socketpair', 2)).toBe(unknown);
});

// runtime-spec 1.2, config-linux.md: "names" must contain at least one entry.
test('every rule names a call', () => {
  for (const { names } of profile.syscalls) expect(names.filter((name) => name !== '')).not.toEqual([]);
});
