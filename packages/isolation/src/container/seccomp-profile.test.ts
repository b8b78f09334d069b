import { expect, test } from 'vitest';
import { createSeccompProfile } from './seccomp-profile.ts';
import { allowedSyscalls, refusedSyscalls } from './seccomp-syscalls.ts';

const profile = createSeccompProfile();

test('no call is on both lists or twice on one', () => {
  const all = [...allowedSyscalls, ...refusedSyscalls];
  expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
});

test.each(['io_uring_setup', 'keyctl', 'add_key', 'userfaultfd', 'clone3', 'memfd_secret', 'clone', 'socket', 'mount'])(
  '%s is not allowed without a condition',
  (name) => {
    expect(allowedSyscalls).not.toContain(name);
  },
);

test('what is on no list answers as if the kernel lacked it', () => {
  expect(profile).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38 });
});

test('every socket family up to netlink has exactly one answer, all above one more', () => {
  const rules = profile.syscalls.filter(({ names }) => names.includes('socket'));
  const families = new Map<number, number>();
  for (const { args = [] } of rules)
    if (args[0]?.op === 'SCMP_CMP_EQ' && (args.length === 1 || args[1]?.op === 'SCMP_CMP_NE'))
      families.set(args[0].value, (families.get(args[0].value) ?? 0) + 1);
  expect([...families.keys()].sort((a, b) => a - b)).toEqual([...Array(16).keys()]);
  expect(new Set(families.values())).toEqual(new Set([1]));
  expect(rules.filter(({ args }) => args?.[0]?.op === 'SCMP_CMP_GT' && args.length === 1)).toHaveLength(1);
});

test('each flag that makes a namespace is refused to clone, and their sum is what the allowed form excludes', () => {
  const rules = profile.syscalls.filter(({ names }) => names.includes('clone'));
  const refused = rules.filter(({ action }) => action === 'SCMP_ACT_ERRNO').map(({ args }) => args?.[0]?.value ?? 0);
  const allowed = rules.filter(({ action }) => action === 'SCMP_ACT_ALLOW').map(({ args }) => args?.[0]);
  expect(allowed).toEqual([
    { index: 0, value: refused.reduce((a, b) => a + b), valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
  ]);
});
