import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { groupLimits } from './limits.ts';

const limits = groupLimits({ cpus: 0.5, memoryMb: 3, diskMb: 1024, maxProcesses: 400 });

test('memory is given in bytes, CPU time in CPUs, and processes by number', () => {
  expect(limits).toMatchObject({ memoryBytes: 3_145_728, cpus: 0.5, maxProcesses: 400 });
});

/** A device by its kernel number, in the form that `devices.allow` takes (Linux: cgroup-v1/devices.rst). */
function ruleFor(path: string): string {
  const { rdev } = statSync(path);
  return `c ${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)} rw`;
}

test.each(['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'])(
  "this host's device /dev/%s may be read and written",
  (name) => {
    expect(limits.devices).toContain(ruleFor(`/dev/${name}`));
  },
);

test('every terminal of devpts may be used too, and nothing else', () => {
  expect(limits.devices).toContain('c 136:* rw');
  expect(limits.devices).toHaveLength(8);
});
