import { Code } from '@connectrpc/connect';
import { FileType } from '@soulbox/contract/filesystem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asUser, createClients, runShell } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
let clients: ReturnType<typeof createClients>;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  clients = createClients(envd.baseUrl);
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

async function shell(line: string, user = 'user'): Promise<string> {
  return (await runShell(clients.process, line, asUser(user))).stdout;
}

const rejectsWith = (code: Code) => expect.objectContaining({ code }) as Error;

describe('Stat', () => {
  test('describes a file', async () => {
    await shell('umask 022; echo hello > file; touch -d "2026-01-02T03:04:05.5Z" file');
    expect((await clients.filesystem.stat({ path: 'file' })).entry).toMatchObject({
      name: 'file',
      type: FileType.FILE,
      path: '/home/user/file',
      size: 6n,
      mode: 0o644,
      permissions: '-rw-r--r--',
      owner: 'user',
      group: 'user',
      modifiedTime: { seconds: 1767323045n, nanos: 500_000_000 },
    });
  });

  test('a link has the type and mode of its target, and its own permissions', async () => {
    await shell('mkdir -p real; ln -sfn real/../real link');
    expect((await clients.filesystem.stat({ path: 'link' })).entry).toMatchObject({
      type: FileType.DIRECTORY,
      mode: 0o755,
      permissions: 'Lrwxrwxrwx',
      symlinkTarget: '/home/user/real',
    });
  });

  test('a dangling link is described as itself', async () => {
    await shell('ln -sfn /proc/nowhere dangling');
    expect((await clients.filesystem.stat({ path: 'dangling' })).entry).toMatchObject({
      type: FileType.SYMLINK,
      symlinkTarget: '/home/user/dangling',
    });
  });

  test('unknown owners are shown as numbers, and special files have no type', async () => {
    await shell('touch /tmp/o; chown 4242:4343 /tmp/o', 'root');
    expect((await clients.filesystem.stat({ path: '/tmp/o' })).entry).toMatchObject({ owner: '4242', group: '4343' });
    const device = (await clients.filesystem.stat({ path: '/dev/null' })).entry;
    expect(device).toMatchObject({ type: FileType.UNSPECIFIED, permissions: 'Dcrw-rw-rw-' });
  });

  test.each([
    ['/nope', Code.NotFound],
    ['/etc/passwd/x', Code.InvalidArgument],
    ['a\0b', Code.InvalidArgument],
    ['x'.repeat(10_000), Code.InvalidArgument],
  ])('%.20s cannot be described', async (path, code) => {
    await expect(clients.filesystem.stat({ path })).rejects.toThrow(rejectsWith(code));
  });

  test('an unknown user is unauthenticated', async () => {
    await expect(clients.filesystem.stat({ path: '/' }, asUser('x'))).rejects.toThrow(
      rejectsWith(Code.Unauthenticated),
    );
  });
});

describe('MakeDir', () => {
  test('creates parents, too, owned by the user', async () => {
    const { entry } = await clients.filesystem.makeDir({ path: 'made/by/me' });
    expect(entry).toMatchObject({ path: '/home/user/made/by/me', type: FileType.DIRECTORY, owner: 'user' });
    expect(await shell('stat -c "%U %a" made made/by')).toBe('user 755\nuser 755\n');
  });

  test('an existing directory is already_exists, and a file in the way is invalid', async () => {
    await expect(clients.filesystem.makeDir({ path: '/tmp' })).rejects.toThrow(rejectsWith(Code.AlreadyExists));
    await expect(clients.filesystem.makeDir({ path: '/etc/passwd' })).rejects.toThrow(
      rejectsWith(Code.InvalidArgument),
    );
    await expect(clients.filesystem.makeDir({ path: '/etc/passwd/x' })).rejects.toThrow(
      rejectsWith(Code.InvalidArgument),
    );
  });
});

describe('Move', () => {
  test('creates the parents of the destination and replaces a file', async () => {
    await shell('echo new > from; mkdir -p to; echo old > to/file');
    const { entry } = await clients.filesystem.move({ source: 'from', destination: 'to/file' });
    expect(entry).toMatchObject({ path: '/home/user/to/file', size: 4n });
    await clients.filesystem.move({ source: 'to', destination: '/tmp/new/parents/to' });
    expect(await shell('cat /tmp/new/parents/to/file')).toBe('new\n');
  });

  test('a missing source is not found', async () => {
    await expect(clients.filesystem.move({ source: 'nope', destination: 'x' })).rejects.toThrow(
      rejectsWith(Code.NotFound),
    );
  });
});

describe('Remove', () => {
  test('removes trees and links without their targets, and accepts missing paths', async () => {
    await shell('mkdir -p tree/a/b; echo x > kept; ln -s ../kept tree/link; ln -s /etc tree/etc');
    await clients.filesystem.remove({ path: 'tree' });
    await clients.filesystem.remove({ path: 'tree' });
    expect(await shell('ls -d tree 2>/dev/null; cat kept; ls -d /etc')).toBe('x\n/etc\n');
  });

  test('the root itself is rejected', async () => {
    await expect(clients.filesystem.remove({ path: '/a/..' })).rejects.toThrow(rejectsWith(Code.InvalidArgument));
  });
});

describe('ListDir', () => {
  beforeAll(async () => {
    await shell('mkdir -p l/b/c/d l/a; touch l/b/file l/b.txt; ln -sfn l link-to-l; ln -sfn b l/zlink');
  });

  const paths = async (path: string, depth: number) =>
    (await clients.filesystem.listDir({ path, depth })).entries.map((entry) => entry.path);

  test('lists one level by default, in lexical order', async () => {
    const level = ['/home/user/l/a', '/home/user/l/b', '/home/user/l/b.txt', '/home/user/l/zlink'];
    expect(await paths('l', 0)).toEqual(level);
    expect(await paths('l', 1)).toEqual(level);
  });

  test('descends level by level, but not into links', async () => {
    expect(await paths('l', 2)).toEqual([
      '/home/user/l/a',
      '/home/user/l/b',
      '/home/user/l/b/c',
      '/home/user/l/b/file',
      '/home/user/l/b.txt',
      '/home/user/l/zlink',
    ]);
    expect(await paths('l', 4_000_000_000)).toContain('/home/user/l/b/c/d');
  });

  test('follows a link that is the root, and keeps its name', async () => {
    expect(await paths('link-to-l', 1)).toContain('/home/user/link-to-l/a');
  });

  test('paths that cannot be listed', async () => {
    await shell('ln -sfn circle circle');
    await expect(paths('/nope', 1)).rejects.toThrow(rejectsWith(Code.NotFound));
    await expect(paths('/etc/passwd', 1)).rejects.toThrow(rejectsWith(Code.InvalidArgument));
    await expect(paths('circle', 1)).rejects.toThrow(rejectsWith(Code.FailedPrecondition));
  });

  test('thousands of files are listed quickly', async () => {
    await shell('mkdir -p many; cd many; seq 5000 | xargs touch');
    expect(await paths('many', 1)).toHaveLength(5000);
  });
});
