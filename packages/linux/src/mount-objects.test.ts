import { execFileSync } from 'node:child_process';
import { closeSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { attachLoopDevice } from './loop-devices.ts';
import { copyMount, mountFileSystem, placeMount } from './mount-objects.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-mounts-'));
});
afterEach(() => rm(folder, { recursive: true }));

const openFiles = (): number => readdirSync('/proc/self/fd').length;

test('a failed mount names the error, and leaves nothing open', async () => {
  const image = join(folder, 'image');
  await writeFile(image, Buffer.alloc(1024 * 1024));
  const { name, descriptor } = attachLoopDevice(image, { isReadOnly: true });
  try {
    const before = openFiles();
    const fileSystem = { type: 'ext4', source: `/dev/${name}`, attributes: [] };
    await expect(mountFileSystem({ ...fileSystem, options: { ro: true } })).rejects.toThrow(
      /^mount of ext4 \/dev\/loop\d+: errno 22$/,
    );
    await expect(mountFileSystem({ ...fileSystem, options: { 'no-such-option': true } })).rejects.toThrow(
      /fsconfig of no-such-option: errno 22/,
    );
    await expect(mountFileSystem({ ...fileSystem, type: 'no-such-type', options: {} })).rejects.toThrow(/fsopen/);
    expect(openFiles()).toBe(before);
  } finally {
    closeSync(descriptor);
  }
});

test('a copy shows a folder at a second path with more attributes, and changes nothing about the first', async () => {
  const [source, place] = [join(folder, 'source'), join(folder, 'place')];
  await mkdir(source);
  await mkdir(place);
  await writeFile(join(source, 'file'), 'content');
  const copy = copyMount(source, ['readOnly', 'noPrograms']);
  placeMount(copy, place);
  closeSync(copy);
  try {
    expect(await readFile(join(place, 'file'), 'utf8')).toBe('content');
    await expect(writeFile(join(place, 'file'), 'other')).rejects.toThrow(/EROFS/);
    await writeFile(join(source, 'file'), 'other');
    const line = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').find((text) => text.includes(place));
    expect(line).toMatch(/ ro,(?:\S+,)?noexec/);
  } finally {
    execFileSync('umount', [place]);
  }
  expect(() => copyMount(join(folder, 'none'))).toThrow(/open_tree of .*none: errno 2/);
});

test('a copy of a shared mount is private', async () => {
  const [shared, place] = [join(folder, 'shared'), join(folder, 'place')];
  for (const path of [shared, place]) await mkdir(path);
  const optionsAt = async (path: string): Promise<string | undefined> =>
    (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').find((line) => line.includes(` ${path} `));
  execFileSync('mount', ['-t', 'tmpfs', 'soulbox-test', shared]);
  try {
    execFileSync('mount', ['--make-shared', shared]);
    const copy = copyMount(shared);
    placeMount(copy, place);
    closeSync(copy);
    try {
      expect(await optionsAt(shared)).toMatch(/ shared:\d+ - /);
      expect(await optionsAt(place)).toMatch(/relatime - /);
    } finally {
      execFileSync('umount', [place]);
    }
  } finally {
    execFileSync('umount', [shared]);
  }
});
