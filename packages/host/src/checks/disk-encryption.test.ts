import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { addFolderKey, folderKeySize, setFolderPolicy } from '@soulbox/linux/fscrypt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkDiskEncryption, findDiskEncryption, judgeDiskEncryption } from './disk-encryption.ts';

let sys: string;
beforeEach(async () => {
  sys = await mkdtemp(join(tmpdir(), 'soulbox-sys-'));
});
afterEach(() => rm(sys, { recursive: true }));

/** A device as in /sys/dev/block, with the devices that it is made of. */
async function add(device: string, slaves: readonly string[] = [], uuid?: string): Promise<void> {
  await mkdir(join(sys, device), { recursive: true });
  for (const [index, slave] of slaves.entries()) {
    await mkdir(join(sys, device, 'slaves', `sd${index}`), { recursive: true });
    await writeFile(join(sys, device, 'slaves', `sd${index}`, 'dev'), `${slave}\n`);
  }
  if (uuid === undefined) return;
  await mkdir(join(sys, device, 'dm'));
  await writeFile(join(sys, device, 'dm/uuid'), `${uuid}\n`);
}

test('a volume on an encrypted device is encrypted, one on a partition is readable', async () => {
  await add('8:1');
  await add('253:0', ['8:1'], 'CRYPT-LUKS2-0f3c-data');
  await add('253:1', ['253:0'], 'LVM-abc');
  await add('253:2', ['8:1'], 'LVM-def');
  const found = await Promise.all(['253:1', '253:0', '253:2', '8:1'].map((device) => findDiskEncryption(device, sys)));
  expect(found).toEqual(['encrypted', 'encrypted', 'readable', 'readable']);
});

test('a volume on several devices is encrypted only if all of them are', async () => {
  await add('8:1');
  await add('253:0', ['8:1'], 'CRYPT-LUKS2-0f3c-data');
  await add('9:0', ['253:0', '8:1']);
  await add('9:1', ['253:0', '253:0']);
  expect(await findDiskEncryption('9:0', sys)).toBe('readable');
  expect(await findDiskEncryption('9:1', sys)).toBe('encrypted');
});

test('a device that is not there is unknown, and devices that contain each other come to an end', async () => {
  expect(await findDiskEncryption('0:44', sys)).toBe('unknown');
  await add('9:2', ['9:2']);
  expect(await findDiskEncryption('9:2', sys)).toBe('unknown');
});

test('folders that SoulBox encrypts are no warning', () => {
  expect(judgeDiskEncryption('folders')).toMatchObject({
    status: 'ok',
    detail: expect.stringContaining('fscrypt') as string,
  });
});

test('a folder that stays readable beside them is a warning that says what to do', () => {
  const { status, detail, fix } = judgeDiskEncryption('folders', ['volumes', 'buckets']);
  expect(status).toBe('warn');
  expect(detail).toContain('except volumes and buckets');
  expect(fix?.debian).toContain('--encrypt-disks');
});

test('of a data folder, those with files are found', async () => {
  const [image, data] = [join(sys, 'image'), join(sys, 'data')];
  await mkdir(data);
  await run('truncate', ['--size=16M', image]);
  await run('mkfs.ext4', ['-q', '-F', '-O', 'encrypt', image]);
  await run('mount', ['-o', 'loop', image, data]);
  try {
    const keyId = addFolderKey(data, randomBytes(folderKeySize));
    for (const name of ['sandboxes', 'layers', 'buckets']) {
      await mkdir(join(data, name));
      setFolderPolicy(join(data, name), keyId);
      await writeFile(join(data, name, 'file'), '');
    }
    await mkdir(join(data, 'volumes/team'), { recursive: true });
    await mkdir(join(data, 'volumes/.reserve'));
    await writeFile(join(data, 'volumes/.reserve/0'), '');
    expect(await checkDiskEncryption({ dataDirectory: data })).toMatchObject({ status: 'ok' });
    await writeFile(join(data, 'volumes/team/file'), '');
    expect(await checkDiskEncryption({ dataDirectory: data })).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('except volumes,') as string,
    });
  } finally {
    await run('umount', [data]);
  }
});

test('anything but an encrypted disk is a warning that says what is readable', async () => {
  expect(judgeDiskEncryption('encrypted').status).toBe('ok');
  expect(judgeDiskEncryption('readable').detail).toContain('the disks of sandboxes');
  expect(judgeDiskEncryption('unknown').status).toBe('warn');
  // On this host, whatever it has.
  expect(await checkDiskEncryption({ dataDirectory: '/not/there' })).toMatchObject({ id: 'disk-encryption' });
});
