import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LoopDevice } from './loop-devices.ts';
import { attachLoopDevice, openLoopDevice } from './loop-devices.ts';
import { withinMountNamespace } from './namespaces.ts';

let folder: string;
let image: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-loops-'));
  image = join(folder, 'image');
  await writeFile(image, '');
  await truncate(image, 1024 * 1024);
});
afterEach(() => rm(folder, { recursive: true }));

/** The kernel may let go of the file a moment after the last close. */
const fileOf = (name: string): string => {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trimEnd();
  } catch {
    return '';
  }
};

test('a device has the file until its last descriptor is closed', async () => {
  const device = attachLoopDevice(image, { isReadOnly: false });
  expect(fileOf(device.name)).toBe(image);
  expect(readFileSync(`/sys/block/${device.name}/dev`, 'utf8').trim()).toBe(device.device);
  expect(readFileSync(`/sys/block/${device.name}/ro`, 'utf8').trim()).toBe('0');
  const second = openLoopDevice(device.name);
  expect(second).toMatchObject({ name: device.name, device: device.device });
  closeSync(device.descriptor);
  expect(fileOf(device.name)).toBe(image);
  closeSync(second.descriptor);
  await expect.poll(() => fileOf(device.name)).toBe('');
});

test('a read-only device cannot be written', () => {
  const { name, descriptor } = attachLoopDevice(image, { isReadOnly: true });
  expect(readFileSync(`/sys/block/${name}/ro`, 'utf8').trim()).toBe('1');
  closeSync(descriptor);
});

test('many devices at a time are different ones', () => {
  const devices: LoopDevice[] = [];
  try {
    for (let index = 0; index < 40; index++) devices.push(attachLoopDevice(image, { isReadOnly: true }));
    expect(new Set(devices.map(({ name }) => name)).size).toBe(40);
    expect(devices.every(({ name }) => fileOf(name) === image)).toBe(true);
  } finally {
    for (const { descriptor } of devices) closeSync(descriptor);
  }
});

test('a link is refused, and so is a file that is not there', async () => {
  const link = join(folder, 'link');
  await symlink(image, link);
  expect(() => attachLoopDevice(link, { isReadOnly: true })).toThrow(/ELOOP/);
  expect(() => attachLoopDevice(join(folder, 'none'), { isReadOnly: true })).toThrow(/ENOENT/);
});

test('in a container whose /dev does not have the node of the device, it is made', async () => {
  const script = `mkdir "$0" && mount -t tmpfs none "$0" && touch "$0/loop-control" && mount --bind /dev/loop-control "$0/loop-control" &&
    mount --rbind "$0" /dev && echo ready && read -r _`;
  const container = spawn('unshare', ['--mount', 'sh', '-c', script, join(folder, 'dev')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(container.stdout, 'data');
  const namespace = openSync(`/proc/${container.pid}/ns/mnt`, 'r');
  try {
    const { device, nodes } = withinMountNamespace(namespace, '/', () => {
      const attached = attachLoopDevice(image, { isReadOnly: true });
      return { device: attached, nodes: existsSync(`/dev/${attached.name}`) };
    });
    expect(nodes).toBe(true);
    expect(fileOf(device.name)).toBe(image);
    expect(readFileSync(`/sys/block/${device.name}/dev`, 'utf8').trim()).toBe(device.device);
    closeSync(device.descriptor);
  } finally {
    closeSync(namespace);
    container.stdin.end();
    await once(container, 'exit');
  }
});
