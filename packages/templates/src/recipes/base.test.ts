import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { isThere } from '@soulbox/testing/is-there';
import { readRootfsFile } from '../rootfs/files.ts';
import { openTemplateStore } from '../store/template-store.ts';

// Building takes half a minute, so the template that `npm test` built is checked.
const store = '/var/lib/soulbox-test/templates';
const template = await openTemplateStore(store).find('base');
const isMade = isThere(`base template in ${store}, which npm test makes`, template !== undefined);
const rootfs = template?.rootfs ?? '';

// In a mount namespace of its own and read-only: npm alone would leave logs in a template that all tests share.
const script =
  'mount --bind -o ro "$1" "$1" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && exec chroot "$@"';
const env = ['/usr/bin/env', '-i', 'PATH=/usr/local/bin:/usr/bin:/usr/sbin', 'HOME=/tmp'];
const inside = async (...command: string[]): Promise<string> =>
  await run('unshare', ['--mount', 'sh', '-c', script, 'sh', rootfs, ...env, ...command]);

describe.skipIf(!isMade)('the base template', () => {
  test('has the documented defaults and a limited size', () => {
    expect(template).toMatchObject({ defaultUser: 'user', defaultWorkdir: '/home/user', cpuCount: 2, memoryMb: 1024 });
    expect(template?.sizeBytes).toBeLessThan(600_000_000);
  });

  test.each([
    ['node', ['node', '--version'], /^v2\d/],
    ['npm', ['npm', '--version'], /^10\./],
    ['npx', ['npx', '--version'], /^10\./],
    ['python', ['python', '--version'], /^Python 3/],
    ['python3', ['python3', '-c', 'import ssl, sqlite3, venv; print(1)'], /^1/],
    ['pip', ['pip', '--version'], /^pip/],
    ['git', ['git', '--version'], /^git/],
    ['curl', ['curl', '--version'], /^curl/],
    ['ip', ['ip', '-V'], /^ip/],
    ['ps', ['ps', '--version'], /^ps/],
    ['sudo', ['sudo', '--version'], /^Sudo/],
  ] as const)('has %s', async (_, command, output) => {
    expect(await inside(...command)).toMatch(output);
  });

  test('has git daemon, certificates and valid sudoers files', async () => {
    expect((await lstat(join(rootfs, 'usr/lib/git-core/git-daemon'))).isFile()).toBe(true);
    expect((await lstat(join(rootfs, 'etc/ssl/certs/ca-certificates.crt'))).size).toBeGreaterThan(100_000);
    expect(await inside('visudo', '-c')).toContain('parsed OK');
  });

  test('has the user, who may use sudo, and no mcp-gateway', async () => {
    expect(await inside('id', 'user')).toBe('uid=1000(user) gid=1000(user) groups=1000(user),27(sudo)\n');
    expect(await readRootfsFile(rootfs, '/etc/sudoers.d/soulbox')).toContain('user ALL=(ALL:ALL) NOPASSWD: ALL');
    await expect(inside('which', 'mcp-gateway')).rejects.toThrow();
  });

  test('has the folders of manual pages, but no pages', async () => {
    for (let section = 1; section <= 9; section++)
      expect(await readdir(join(rootfs, 'usr/share/man', `man${section}`))).toEqual([]);
  });

  test('names no host, and contains no package lists and no device nodes', async () => {
    expect(await readRootfsFile(rootfs, '/etc/hostname')).toBe('sandbox\n');
    expect(await readRootfsFile(rootfs, '/etc/resolv.conf')).toBe('');
    expect(await readRootfsFile(rootfs, '/etc/machine-id')).toBe('');
    expect(await readdir(join(rootfs, 'dev'))).toEqual([]);
    expect(await readdir(join(rootfs, 'var/lib/apt/lists')).catch(() => [])).not.toContainEqual(
      expect.stringContaining('_Packages'),
    );
  });
});
