import { expect, test } from 'vitest';
import { allowedSyscalls, refusedSyscalls } from '../container/seccomp-syscalls.ts';
import { createSeccompProfile } from './seccomp-profile.ts';

const profile = createSeccompProfile();
const actionsOf = (name: string): readonly string[] =>
  profile.syscalls.filter(({ names }) => names.includes(name)).map(({ action }) => action);

test('the lists are those of the container', () => {
  for (const name of allowedSyscalls.filter((name) => name !== 'kill'))
    expect(actionsOf(name), name).toEqual(['SCMP_ACT_ALLOW']);
  for (const name of refusedSyscalls) expect(actionsOf(name), name).toEqual(['SCMP_ACT_ERRNO']);
});

test('what is on no list answers as if the kernel lacked it', () => {
  expect(profile.defaultAction).toBe('SCMP_ACT_TRACE');
  for (const name of ['clone3', 'keyctl', 'io_uring_setup', 'userfaultfd']) expect(actionsOf(name)).toEqual([]);
});

test('no error is asked for that runsc would turn into another', () => {
  expect(JSON.stringify(profile)).not.toContain('errnoRet');
});

test('signals go to everybody but init', () => {
  const rules = profile.syscalls.filter(({ names }) => names.includes('kill'));
  const answer = (pid: number, signal: number): readonly string[] =>
    rules
      .filter(({ args = [] }) =>
        args.every(({ index, value, op }) => {
          const given = [pid, signal][index] ?? 0;
          return op === 'SCMP_CMP_EQ' ? given === value : op === 'SCMP_CMP_NE' ? given !== value : given > value;
        }),
      )
      .map(({ action }) => action);
  expect(answer(1, 9)).toEqual(['SCMP_ACT_ERRNO']);
  expect(answer(1, 0)).toEqual(['SCMP_ACT_ALLOW']);
  for (const pid of [2, 1000, 2 ** 64 - 1]) expect(answer(pid, 9)).toEqual(['SCMP_ACT_ALLOW']);
});
