import { expect, test } from 'vitest';
import { addLine, addToGroup, firstFreeId, parseGroup, parsePasswd } from './accounts.ts';

test('lines that are not accounts are skipped', () => {
  const text = 'root:x:0:0:r:/root:/bin/sh\n\n# comment\nbad:x:-1:0::/:/bin/sh\nshort:x:1\n+::::::\nu:x:7:8::/h:';
  expect(parsePasswd(text)).toEqual([
    { name: 'root', uid: 0, gid: 0, home: '/root', shell: '/bin/sh' },
    { name: 'u', uid: 7, gid: 8, home: '/h', shell: '' },
  ]);
  expect([...parseGroup('a:x:1:\nb:x:x:\nc:x:3:m,n')]).toEqual([
    ['a', 1],
    ['c', 3],
  ]);
});

test('a member is added to a group once, and only to that group', () => {
  const text = 'sudo:x:27:\nsudoers:x:28:\n';
  const once = addToGroup(text, 'sudo', 'user');
  expect(once).toBe('sudo:x:27:user\nsudoers:x:28:\n');
  expect(addToGroup(once, 'sudo', 'user')).toBe(once);
  expect(addToGroup('sudo:x:27:a', 'sudo', 'user')).toBe('sudo:x:27:a,user');
  expect(addToGroup(text, 'wheel', 'user')).toBe(text);
});

test('a line is added whether or not the text ends with a newline', () => {
  expect(addLine('', 'a')).toBe('a\n');
  expect(addLine('a', 'b')).toBe('a\nb\n');
  expect(addLine('a\n', 'b')).toBe('a\nb\n');
});

test('the first free id from 1000 on is found', () => {
  expect(firstFreeId(new Set([0, 1000, 1001, 1003]))).toBe(1002);
});
