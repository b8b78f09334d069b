import { expect, test } from 'vitest';
import { candidatePaths, processEnvironment } from './environment.ts';

const user = { name: 'ann', uid: 1, gid: 1, home: '/home/ann', shell: '', groups: [] };

test('the request overrides the global variables, which override those of the user', () => {
  expect(processEnvironment(user, '/bin', { A: 'global', B: 'global', HOME: '/x' }, { A: 'request' })).toEqual({
    PATH: '/bin',
    HOME: '/x',
    USER: 'ann',
    LOGNAME: 'ann',
    A: 'request',
    B: 'global',
  });
});

test('a command without a slash is searched in PATH', () => {
  expect(candidatePaths('ls', '/a:/b:')).toEqual(['/a/ls', '/b/ls', './ls']);
});

test('a command with a slash is used unchanged', () => {
  expect(candidatePaths('./ls', '/a:/b')).toEqual(['./ls']);
});
