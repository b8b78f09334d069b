import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { asUser, collect, createClients } from './clients.ts';
import { startEnvd } from './start-envd.ts';
import { createEmptyRoot, findTestRoot } from './test-root.ts';

test('in an empty root files can be written and read, but no program can start', async () => {
  const root = await createEmptyRoot();
  try {
    await using envd = await startEnvd(root.path);
    const { filesystem, process } = createClients(envd.baseUrl);
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await fetch(`${envd.baseUrl}/files?path=/a/b`, { method: 'POST', headers, body: 'x' });
    expect(await response.json()).toEqual([{ path: '/a/b', name: 'b', type: 'file' }]);
    expect((await filesystem.stat({ path: '/a/b' })).entry).toMatchObject({ owner: 'root', group: 'root' });
    await expect(collect(process.start({ process: { cmd: '/bin/sh' } }))).rejects.toThrow(/no such file/);
  } finally {
    await root.remove();
  }
});

test('in a root without glibc static programs can run', async () => {
  const busybox = join(await findTestRoot(), 'bin/busybox');
  const root = await createEmptyRoot();
  try {
    await mkdir(join(root.path, 'bin'));
    await cp(busybox, join(root.path, 'bin/busybox'));
    await symlink('busybox', join(root.path, 'bin/sh'));
    await using envd = await startEnvd(root.path);
    const { process } = createClients(envd.baseUrl);
    const args = ['-c', 'echo $0 $HOME; busybox id -u; exit 3'];
    const outcome = await collect(process.start({ process: { cmd: 'sh', args }, stdin: false }, asUser('root')));
    expect(outcome).toMatchObject({ stdout: 'sh /root\n0\n', end: { exitCode: 3 } });
  } finally {
    await root.remove();
  }
});
