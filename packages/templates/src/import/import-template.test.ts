import { createHash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandError, removeTree, run, silentLogger } from '@soulbox/base';
import { readRootfsFile } from '../rootfs/files.ts';
import { openTemplateStore } from '../store/template-store.ts';
import type { TemplateStore } from '../store/template-store.ts';
import { makeBusyboxRootfs, makeImage } from '../testing/image.ts';
import { bcrypt, startRegistry } from '../testing/registry.ts';
import { makeTar } from '../testing/tar.ts';
import type { TarEntry } from '../testing/tar.ts';
import { importTemplate } from './import-template.ts';
import type { ImportOptions } from './import-template.ts';

const parent = '/var/lib/soulbox-test';
let directory: string;
let store: TemplateStore;
let rootfs: string;
let image: string;

const quiet: ImportOptions = { onProgress: () => undefined, logger: silentLogger };
const small: ImportOptions = { ...quiet, limits: { maxBytes: 64 * 1024 * 1024, maxEntries: 2000, timeoutMs: 30_000 } };

beforeAll(async () => {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  directory = await mkdtemp(join(parent, 'import-'));
  store = openTemplateStore(join(directory, 'templates'));
  rootfs = join(directory, 'busybox');
  await makeBusyboxRootfs(rootfs);
  image = await makeImage(rootfs, join(directory, 'layout'), {
    user: 'app',
    workdir: '/srv/app',
    environment: ['LANG=C.UTF-8', 'GREETING=hello = world'],
  });
});

afterAll(async () => {
  await removeTree(directory);
});

async function expectNothingLeft(): Promise<void> {
  const names = await readdir(store.directory);
  expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
  expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(store.directory);
}

describe('an image from an OCI layout', () => {
  test('becomes a template that keeps user, workdir and environment', async () => {
    const template = await importTemplate(store, 'from-oci', image, quiet);
    expect(template).toMatchObject({
      names: ['from-oci'],
      source: image,
      defaultUser: 'app',
      defaultWorkdir: '/srv/app',
      environment: { LANG: 'C.UTF-8', GREETING: 'hello = world' },
    });
    expect(await readFile(join(template.rootfs, 'usr/bin/busybox'))).toEqual(
      await readFile(join(rootfs, 'usr/bin/busybox')),
    );
    await expectNothingLeft();
  });

  test('gets the user `user` with a free id, a home and membership in sudo', async () => {
    const template = await store.find('from-oci');
    const passwd = await readRootfsFile(template?.rootfs ?? '', '/etc/passwd');
    expect(passwd).toContain('app:x:1000:1000::/srv/app:/bin/sh\nuser:x:1001:1001::/home/user:/bin/sh\n');
    expect(await readRootfsFile(template?.rootfs ?? '', '/etc/group')).toContain('sudo:x:27:user');
    expect(await stat(join(template?.rootfs ?? '', 'home/user'))).toMatchObject({ uid: 1001, gid: 1001 });
  });

  test('gets the working directory that it names but does not contain', async () => {
    const template = await store.find('from-oci');
    expect(await stat(join(template?.rootfs ?? '', 'srv/app'))).toMatchObject({ uid: 1000, gid: 1000 });
  });

  test('runs: its own shell works as its own user', async () => {
    const template = await store.find('from-oci');
    const shown = await run('chroot', [
      '--userspec=1001:1001',
      template?.rootfs ?? '',
      '/bin/sh',
      '-c',
      'echo $((6*7))',
    ]);
    expect(shown).toBe('42\n');
  });

  test.each([
    ['a user that its passwd does not have', { user: 'ghost' }, /ghost/],
    ['another architecture', { architecture: 'riscv64' }, /linux\/riscv64/],
  ])('with %s is refused', async (_, settings, message) => {
    const odd = await makeImage(rootfs, await mkdtemp(join(directory, 'odd-')).then((path) => `${path}/l`), settings);
    await expect(importTemplate(store, 'odd', odd, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
      message: expect.stringMatching(message) as string,
    });
    await expectNothingLeft();
  });

  test('that runs as an unknown numeric uid falls back to `user`', async () => {
    const bare = await makeImage(rootfs, join(directory, 'bare'), { user: '4711:4711', workdir: '/' });
    const template = await importTemplate(store, 'bare', bare, quiet);
    expect(template).toMatchObject({ defaultUser: 'user', defaultWorkdir: '/home/user' });
  });

  test('with a manipulated layer is refused', async () => {
    const layout = join(directory, 'tampered');
    const reference = await makeImage(rootfs, layout);
    const blobs = await readdir(join(layout, 'blobs/sha256'));
    const sizes = await Promise.all(blobs.map(async (name) => (await stat(join(layout, 'blobs/sha256', name))).size));
    const layer = join(layout, 'blobs/sha256', blobs[sizes.indexOf(Math.max(...sizes))] ?? '');
    const bytes = await readFile(layer);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(layer, bytes);
    await expect(importTemplate(store, 'tampered', reference, quiet)).rejects.toMatchObject({ reason: 'bad_request' });
    await expectNothingLeft();
  });

  test('that is larger than the limit is refused by the kernel', async () => {
    const limits = { maxBytes: 2 * 1024 * 1024, maxEntries: 1000, timeoutMs: 30_000 };
    await expect(importTemplate(store, 'large', image, { ...quiet, limits })).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    await expectNothingLeft();
  });

  test('that takes longer than the limit is aborted', async () => {
    const limits = { maxBytes: 64 * 1024 * 1024, maxEntries: 1000, timeoutMs: 1 };
    await expect(importTemplate(store, 'slow', image, { ...quiet, limits })).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    await expectNothingLeft();
  });

  test('that does not exist is refused', async () => {
    await expect(importTemplate(store, 'none', `oci:${directory}/nowhere`, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await expectNothingLeft();
  });
});

describe('an image from a registry', () => {
  test('is fetched over plain HTTP only when asked to', async () => {
    await using registry = await startRegistry(join(directory, 'registry'));
    const reference = `docker://${registry.address}/team/busybox:1`;
    await run('skopeo', ['--insecure-policy', 'copy', '--dest-tls-verify=false', image, reference]);
    await expect(importTemplate(store, 'from-registry', reference, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    const template = await importTemplate(store, 'from-registry', reference, { ...quiet, tlsVerify: false });
    expect(template).toMatchObject({ source: reference, defaultUser: 'app', defaultWorkdir: '/srv/app' });
    const missing = `docker://${registry.address}/team/nothing:1`;
    await expect(importTemplate(store, 'missing', missing, { ...quiet, tlsVerify: false })).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await expectNothingLeft();
  });

  test('with a password needs the auth file', async (context) => {
    const password = await bcrypt('secret');
    context.skip(password === '', 'libcrypt here cannot make a bcrypt hash');
    await using registry = await startRegistry(join(directory, 'registry-auth'), `alice:${password}\n`);
    const credentials = Buffer.from('alice:secret').toString('base64');
    const authFile = join(directory, 'auth.json');
    await writeFile(authFile, JSON.stringify({ auths: { [registry.address]: { auth: credentials } } }));
    const reference = `docker://${registry.address}/busybox:1`;
    await run('skopeo', [
      '--insecure-policy',
      'copy',
      '--dest-tls-verify=false',
      '--dest-authfile',
      authFile,
      image,
      reference,
    ]);
    await expect(importTemplate(store, 'private', reference, { ...quiet, tlsVerify: false })).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await importTemplate(store, 'private', reference, { ...quiet, tlsVerify: false, authFile });
    await expectNothingLeft();
  });
});

describe('a tar file', () => {
  async function importTar(
    name: string,
    entries: readonly TarEntry[],
    options = small,
  ): ReturnType<typeof importTemplate> {
    const file = join(directory, `${name}.tar`);
    await writeFile(file, makeTar(entries));
    return await importTemplate(store, name, `tar:${file}`, options);
  }

  test('made by GNU tar from a root file system becomes a template, compressed or not', async () => {
    for (const [flag, extension] of [
      ['-cf', 'tar'],
      ['-czf', 'tar.gz'],
      ['-cJf', 'tar.xz'],
    ] as const) {
      const file = join(directory, `rootfs.${extension}`);
      await run('tar', [flag, file, '-C', rootfs, '.']);
      const name = extension.replace('.', '-');
      const template = await importTemplate(store, name, `tar:${file}`, quiet);
      expect(template).toMatchObject({ defaultUser: 'user', defaultWorkdir: '/home/user', environment: {} });
      expect(await readFile(join(template.rootfs, 'bin/busybox'))).toHaveLength(
        (await stat(join(rootfs, 'bin/busybox'))).size,
      );
    }
    await expectNothingLeft();
  });

  test('that is empty becomes a template with accounts and mount points', async () => {
    const template = await importTar('empty', []);
    expect(await readRootfsFile(template.rootfs, '/etc/passwd')).toBe(
      'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n',
    );
    expect((await stat(join(template.rootfs, '.soulbox'))).isDirectory()).toBe(true);
  });

  test('keeps owners, setuid bits and links', async () => {
    const template = await importTar('modes', [
      { name: 'a', type: '0', content: 'a', mode: 0o4755, uid: 1234 },
      { name: 'hard', type: '1', linkName: 'a' },
      { name: 'absolute', type: '2', linkName: '/a' },
      { name: 'fifo', type: '6' },
    ]);
    const found = await stat(join(template.rootfs, 'hard'));
    expect(found).toMatchObject({ uid: 1234, gid: 1234, nlink: 2 });
    expect(found.mode & 0o7777).toBe(0o4755);
    expect((await lstat(join(template.rootfs, 'absolute'))).isSymbolicLink()).toBe(true);
  });

  test('loses its device nodes', async () => {
    const template = await importTar('devices', [
      { name: 'disk', type: '4', device: [254, 0], mode: 0o666 },
      { name: 'mem', type: '3', device: [1, 1], mode: 0o666 },
      { name: 'kept', type: '0', content: 'x' },
    ]);
    expect(await readdir(template.rootfs)).toEqual(expect.not.arrayContaining(['disk', 'mem']));
    expect(await readFile(join(template.rootfs, 'kept'), 'utf8')).toBe('x');
  });

  test('whose root folder is closed or not owned by root gets an open one owned by root', async () => {
    const template = await importTar('closed', [{ name: './', type: '5', mode: 0o700, uid: 4711 }]);
    const found = await stat(template.rootfs);
    expect(found).toMatchObject({ uid: 0, gid: 0 });
    expect(found.mode & 0o7777).toBe(0o755);
  });

  describe('that tries to leave its folder', () => {
    // A file of the host that every attack below targets.
    let target: string;
    const fingerprint = async (): Promise<string> => {
      const { mode, uid, nlink } = await stat(target);
      const digest = createHash('sha256')
        .update(await readFile(target))
        .digest('hex');
      return `${mode} ${uid} ${nlink} ${digest} ${(await readdir(join(target, '..'))).join()}`;
    };
    let before: string;
    beforeAll(async () => {
      await mkdir(join(directory, 'outside'), { mode: 0o755 });
      target = join(directory, 'outside/secret');
      await writeFile(target, 'root only', { mode: 0o600 });
      before = await fingerprint();
    });

    const up = '../'.repeat(20).slice(0, -1);
    const attacks: readonly (readonly [string, (target: string) => TarEntry[]])[] = [
      ['by a name with ..', (path) => [{ name: `${up}${path}`, type: '0', content: 'evil' }]],
      ['by an absolute name', (path) => [{ name: path, type: '0', content: 'evil' }]],
      [
        'by a symbolic link to a folder outside and a file through it',
        (path) => [
          { name: 'out', type: '2', linkName: join(path, '..') },
          { name: 'out/secret', type: '0', content: 'evil' },
          { name: 'out/new', type: '0', content: 'evil' },
        ],
      ],
      [
        'by a relative symbolic link and a file through it',
        (path) => [
          { name: 'out', type: '2', linkName: `${up}${join(path, '..')}` },
          { name: 'out/secret', type: '0', content: 'evil' },
        ],
      ],
      [
        'by a hard link to a file outside that is then written',
        (path) => [
          { name: 'hard', type: '1', linkName: path },
          { name: 'hard', type: '0', content: 'evil' },
        ],
      ],
      ['by a hard link with .. to a file outside', (path) => [{ name: 'hard', type: '1', linkName: `${up}${path}` }]],
      [
        'by a hard link through a symbolic link',
        (path) => [
          { name: 'out', type: '2', linkName: path },
          { name: 'hard', type: '1', linkName: 'out' },
          { name: 'hard', type: '0', content: 'evil' },
        ],
      ],
      [
        'by a link in the place of the account files',
        (path) => [
          { name: 'etc', type: '2', linkName: join(path, '..') },
          { name: 'home', type: '2', linkName: join(path, '..') },
        ],
      ],
      [
        'by links in the place of each file that is written afterwards',
        (path) => [
          { name: 'etc', type: '5' },
          ...['passwd', 'group', 'shadow', 'hostname', 'hosts', 'resolv.conf'].map((name): TarEntry => ({
            name: `etc/${name}`,
            type: '2',
            linkName: path,
          })),
          { name: 'home', type: '5' },
          { name: 'home/user', type: '2', linkName: join(path, '..') },
        ],
      ],
      ['by a link as the root folder itself', (path) => [{ name: '.', type: '2', linkName: join(path, '..') }]],
    ];
    test.each(attacks)('%s changes nothing outside', async (_, entriesFor) => {
      const attempt = `attack-${attacks.findIndex(([, other]) => other === entriesFor)}`;
      const outcome = await importTar(attempt, entriesFor(target)).then(
        (template) => template,
        (error: unknown) => error,
      );
      expect(await fingerprint()).toBe(before);
      // Refused with a reason, or harmless; never a raw failure of a tool.
      if (outcome instanceof Error) expect(outcome).toMatchObject({ name: 'SoulBoxError' });
      expect(outcome).not.toBeInstanceOf(CommandError);
      await expectNothingLeft();
    });
  });

  test('with more files than the limit is refused by the kernel', async () => {
    const entries = Array.from({ length: 5000 }, (_, index): TarEntry => ({ name: `f${index}`, type: '0' }));
    await expect(importTar('many', entries)).rejects.toMatchObject({ reason: 'limit_exceeded' });
    await expectNothingLeft();
  });

  test('that is a compression bomb is refused by the kernel', async () => {
    const file = join(directory, 'bomb.tar.gz');
    await run('sh', ['-c', 'sh', file]);
    const zeros = join(directory, 'zeros');
    await run('truncate', ['-s', '300M', zeros]);
    await run('tar', ['-czf', file, '-C', directory, 'zeros']);
    await expect(importTemplate(store, 'bomb', `tar:${file}`, small)).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    await expectNothingLeft();
  });

  test.each([
    ['is cut short', makeTar([{ name: 'a', type: '0', content: 'x'.repeat(5000) }]).subarray(0, 3000)],
    ['is noise', Buffer.from('this is no archive at all'.repeat(100))],
  ])('that %s is refused', async (_, bytes) => {
    const file = join(directory, 'broken.tar');
    await writeFile(file, bytes);
    await expect(importTemplate(store, 'broken', `tar:${file}`, small)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await expectNothingLeft();
  });

  test('that is missing is refused', async () => {
    await expect(importTemplate(store, 'nowhere', 'tar:/nowhere.tar', small)).rejects.toMatchObject({
      reason: 'file_not_found',
    });
  });
});

test.each([
  '',
  'busybox',
  'docker://',
  'docker://-rf',
  'docker:///etc/passwd',
  'docker://host/a b',
  'docker://host/a\n--src-creds=x',
  'http://host/image',
  'oci:',
  'oci:/a:b:c',
  'oci:/a:../b',
  'tar:',
  'tar:/a\0b',
  `docker://${'a'.repeat(10_000)}`,
])('the source %j is refused', async (source) => {
  await expect(importTemplate(store, 'name', source, quiet)).rejects.toMatchObject({ reason: 'bad_request' });
});
