import { expect, test } from 'vitest';
import { candidatePaths, processEnvironment } from './environment.ts';

const user = { name: 'ann', uid: 1, gid: 1, home: '/home/ann', shell: '', groups: [] };

test('the request wins over the global variables, which win over the user', () => {
  expect(processEnvironment(user, '/bin', { A: 'global', B: 'global', HOME: '/x' }, { A: 'request' })).toEqual({
    PATH: '/bin',
    HOME: '/x',
    USER: 'ann',
    LOGNAME: 'ann',
    A: 'request',
    B: 'global',
  });
});

test('a command without a slash is looked for along PATH', () => {
  expect(candidatePaths('ls', '/a:/b:')).toEqual(['/a/ls', '/b/ls', './ls']);
});

test('a command with a slash is taken as it is', () => {
  expect(candidatePaths('./ls', '/a:/b')).toEqual(['./ls']);
});
