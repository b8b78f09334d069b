import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { readRootfsFile } from '../rootfs/files.ts';
import { openImportBench, quiet } from '../testing/import-bench.ts';
import type { ImportBench } from '../testing/import-bench.ts';
import { makeImage } from '../testing/image.ts';
import { bcrypt, startRegistry } from '../testing/registry.ts';
import { importTemplate } from './import-template.ts';

let bench: ImportBench;
let image: string;

beforeAll(async () => {
  bench = await openImportBench();
  image = await makeImage(bench.rootfs, join(bench.directory, 'layout'), {
    user: 'app',
    workdir: '/srv/app',
    environment: ['LANG=C.UTF-8', 'GREETING=hello = world'],
  });
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('an image from an OCI layout', () => {
  test('becomes a template that keeps user, workdir and environment', async () => {
    const template = await importTemplate(bench.store, 'from-oci', image, quiet);
    expect(template).toMatchObject({
      names: ['from-oci'],
      source: image,
      defaultUser: 'app',
      defaultWorkdir: '/srv/app',
      environment: { LANG: 'C.UTF-8', GREETING: 'hello = world' },
    });
    expect(await readFile(join(template.rootfs, 'usr/bin/busybox'))).toEqual(
      await readFile(join(bench.rootfs, 'usr/bin/busybox')),
    );
    await bench.expectNothingLeft();
  });

  test('gets the user `user` with a free id, a home and membership in sudo', async () => {
    const template = await bench.store.find('from-oci');
    const passwd = await readRootfsFile(template?.rootfs ?? '', '/etc/passwd');
    expect(passwd).toContain('app:x:1000:1000::/srv/app:/bin/sh\nuser:x:1001:1001::/home/user:/bin/sh\n');
    expect(await readRootfsFile(template?.rootfs ?? '', '/etc/group')).toContain('sudo:x:27:user');
    expect(await stat(join(template?.rootfs ?? '', 'home/user'))).toMatchObject({ uid: 1001, gid: 1001 });
  });

  test('gets the working directory that it names but does not contain', async () => {
    const template = await bench.store.find('from-oci');
    expect(await stat(join(template?.rootfs ?? '', 'srv/app'))).toMatchObject({ uid: 1000, gid: 1000 });
  });

  test('runs: its own shell works as its own user', async () => {
    const template = await bench.store.find('from-oci');
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
    const odd = await makeImage(
      bench.rootfs,
      await mkdtemp(join(bench.directory, 'odd-')).then((path) => `${path}/l`),
      settings,
    );
    await expect(importTemplate(bench.store, 'odd', odd, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
      message: expect.stringMatching(message) as string,
    });
    await bench.expectNothingLeft();
  });

  test('that runs as an unknown numeric uid falls back to `user`', async () => {
    const bare = await makeImage(bench.rootfs, join(bench.directory, 'bare'), { user: '4711:4711', workdir: '/' });
    const template = await importTemplate(bench.store, 'bare', bare, quiet);
    expect(template).toMatchObject({ defaultUser: 'user', defaultWorkdir: '/home/user' });
  });

  test('with a manipulated layer is refused', async () => {
    const layout = join(bench.directory, 'tampered');
    const reference = await makeImage(bench.rootfs, layout);
    const blobs = await readdir(join(layout, 'blobs/sha256'));
    const sizes = await Promise.all(blobs.map(async (name) => (await stat(join(layout, 'blobs/sha256', name))).size));
    const layer = join(layout, 'blobs/sha256', blobs[sizes.indexOf(Math.max(...sizes))] ?? '');
    const bytes = await readFile(layer);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(layer, bytes);
    await expect(importTemplate(bench.store, 'tampered', reference, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await bench.expectNothingLeft();
  });

  test('that is larger than the limit is refused by the kernel', async () => {
    const limits = { maxBytes: 2 * 1024 * 1024, maxEntries: 1000, timeoutMs: 30_000 };
    await expect(importTemplate(bench.store, 'large', image, { ...quiet, limits })).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    await bench.expectNothingLeft();
  });

  test('that takes longer than the limit is aborted', async () => {
    const limits = { maxBytes: 64 * 1024 * 1024, maxEntries: 1000, timeoutMs: 1 };
    await expect(importTemplate(bench.store, 'slow', image, { ...quiet, limits })).rejects.toMatchObject({
      reason: 'limit_exceeded',
    });
    await bench.expectNothingLeft();
  });

  test('that does not exist is refused', async () => {
    await expect(importTemplate(bench.store, 'none', `oci:${bench.directory}/nowhere`, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await bench.expectNothingLeft();
  });
});

describe('an image from a registry', () => {
  test('is fetched over plain HTTP only when asked to', async () => {
    await using registry = await startRegistry(join(bench.directory, 'registry'));
    const reference = `docker://${registry.address}/team/busybox:1`;
    await run('skopeo', ['--insecure-policy', 'copy', '--dest-tls-verify=false', image, reference]);
    await expect(importTemplate(bench.store, 'from-registry', reference, quiet)).rejects.toMatchObject({
      reason: 'bad_request',
    });
    const template = await importTemplate(bench.store, 'from-registry', reference, { ...quiet, tlsVerify: false });
    expect(template).toMatchObject({ source: reference, defaultUser: 'app', defaultWorkdir: '/srv/app' });
    const missing = `docker://${registry.address}/team/nothing:1`;
    await expect(importTemplate(bench.store, 'missing', missing, { ...quiet, tlsVerify: false })).rejects.toMatchObject(
      {
        reason: 'bad_request',
      },
    );
    await bench.expectNothingLeft();
  });

  test('with a password needs the auth file', async (context) => {
    const password = await bcrypt('secret');
    context.skip(password === '', 'libcrypt here cannot make a bcrypt hash');
    await using registry = await startRegistry(join(bench.directory, 'registry-auth'), `alice:${password}\n`);
    const credentials = Buffer.from('alice:secret').toString('base64');
    const authFile = join(bench.directory, 'auth.json');
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
    await expect(
      importTemplate(bench.store, 'private', reference, { ...quiet, tlsVerify: false }),
    ).rejects.toMatchObject({
      reason: 'bad_request',
    });
    await importTemplate(bench.store, 'private', reference, { ...quiet, tlsVerify: false, authFile });
    await bench.expectNothingLeft();
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
  await expect(importTemplate(bench.store, 'name', source, quiet)).rejects.toMatchObject({ reason: 'bad_request' });
});
