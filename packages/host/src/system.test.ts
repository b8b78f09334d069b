import { expect, test } from 'vitest';
import { familyFromOsRelease, findProgram, readSetting, readSystemFamily } from './system.ts';

test.each([
  ['PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\n', 'debian'],
  ['ID=ubuntu\nID_LIKE=debian\n', 'debian'],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'debian'],
  ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'fedora'],
  ['ID=fedora\n', 'fedora'],
  ['ID=alpine\n', 'alpine'],
  ['ID=manjaro\nID_LIKE=arch\n', 'arch'],
  ['ID=nixos\n', 'other'],
  ['NAME=debian-like\nBUILD_ID=debian\n', 'other'],
  ['', 'other'],
])('%j is told apart', (text, family) => {
  expect(familyFromOsRelease(text)).toBe(family);
});

test('a system without os-release is unknown', async () => {
  expect(await readSystemFamily('/proc/nowhere')).toBe('other');
});

test('programs are found by name, and missing settings are undefined', async () => {
  expect(await findProgram('mount')).toMatch(/\/mount$/);
  expect(await findProgram('no-such-program')).toBeUndefined();
  expect(await readSetting('/proc/sys/no/such/setting')).toBeUndefined();
});
