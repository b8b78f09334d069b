import { expect, test } from 'vitest';
import { grantsEverything, parseLines } from './sudoers.ts';

const user = { name: 'user', uid: 1000 };
const grants = (text: string, groups: readonly string[] = ['user', 'sudo']): boolean =>
  grantsEverything(parseLines(text), user, groups);

test.each([
  'user ALL=(ALL) NOPASSWD: ALL',
  'user ALL=(ALL:ALL) NOPASSWD: ALL',
  'user\tALL = ( ALL : ALL )  NOPASSWD : ALL   # for everything',
  '%sudo ALL=(ALL:ALL) NOPASSWD:ALL',
  '#1000 ALL=(ALL) NOPASSWD: ALL',
  'ALL ALL=(ALL) NOPASSWD: ALL',
  'user ALL=(ALL) \\\n  NOPASSWD: ALL',
  '%sudo ALL=(ALL:ALL) ALL\nuser ALL=(ALL) NOPASSWD: ALL\n',
])('%j grants everything', (text) => expect(grants(text)).toBe(true));

test.each([
  '',
  'root ALL=(ALL:ALL) NOPASSWD: ALL',
  'username ALL=(ALL) NOPASSWD: ALL',
  '# user ALL=(ALL) NOPASSWD: ALL',
  'user ALL=(ALL:ALL) ALL',
  'user ALL=(root) NOPASSWD: ALL',
  'user other-host=(ALL) NOPASSWD: ALL',
  'user ALL=(ALL) NOPASSWD: /bin/ls',
  'user ALL=(ALL) NOPASSWD: ALL, !/bin/su',
  'user ALL=(ALL) NOPASSWD: ALL\nuser ALL=(ALL) PASSWD: ALL',
  'user ALL=(ALL) NOPASSWD: ALL\n%sudo ALL=(ALL) !ALL',
  '%admin ALL=(ALL) NOPASSWD: ALL',
  '#10000 ALL=(ALL) NOPASSWD: ALL',
])('%j grants nothing', (text) => expect(grants(text)).toBe(false));
