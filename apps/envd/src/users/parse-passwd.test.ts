import { expect, test } from 'vitest';
import { parseGroup, parsePasswd } from './parse-passwd.ts';

test('a passwd line gives name, ids and home', () => {
  expect(parsePasswd('user:x:1000:1001:A User,,:/home/user:/bin/bash\n')).toEqual([
    { name: 'user', uid: 1000, gid: 1001, home: '/home/user', shell: '/bin/bash' },
  ]);
});

test('a relative or missing home becomes /', () => {
  expect(parsePasswd('a:x:1:1::tmp:\nb:x:2:2\n').map((entry) => entry.home)).toEqual(['/', '/']);
});

test('lines without a valid user are ignored', () => {
  const text =
    '\n# comment\n+nis\n:x:0:0::/:\nx:x:-1:0::/:\ny:x:1e3:0::/:\nz:x:4294967295:0::/:\nw:x:99999999999:0::/:\n';
  expect(parsePasswd(text)).toEqual([]);
});

test('a group line gives its members', () => {
  expect(parseGroup('sudo:x:27:user,other\nempty:x:50:\nbad:x:\n')).toEqual([
    { name: 'sudo', gid: 27, members: ['user', 'other'] },
    { name: 'empty', gid: 50, members: [] },
  ]);
});
