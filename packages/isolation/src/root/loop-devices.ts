import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const releaseTimeoutMs = 2_000;

/**
 * Waits until no loop device holds `image` any more, at most 2 s; false if one still does. A device releases its file
 * by itself after the last unmount, which may be some milliseconds after the end of the last process. `device`
 * (`major:minor`) is the device to check; without it all are checked.
 */
export async function waitUntilReleased(image: string, device: string | undefined): Promise<boolean> {
  const deadline = Date.now() + releaseTimeoutMs;
  const devices = device === undefined ? await listLoopDevices() : [device];
  for (let waitMs = 1; (await findBackingFiles(devices)).includes(image); waitMs *= 2) {
    if (Date.now() > deadline) return false;
    await sleep(Math.min(waitMs, 50));
  }
  return true;
}

/** Names of the files behind all loop devices in use on this host. */
export async function listLoopImages(): Promise<string[]> {
  const files = await findBackingFiles(await listLoopDevices());
  return files.map((file) => basename(file.replace(/ \(deleted\)$/, '')));
}

/** Names of the loop devices with this file, such as `loop3`. */
export async function listLoopsOf(image: string): Promise<string[]> {
  const names = (await listLoops()).map(({ name }) => name);
  const files = await readAll(names.map(backingFileOf));
  return names.filter((_, index) => files[index]?.trimEnd() === image);
}

/** The file behind a loop device; undefined if it has none. Synchronous: a small read that never blocks. */
export function findBackingFile(name: string): string | undefined {
  try {
    return readFileSync(backingFileOf(name), 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

const backingFileOf = (name: string): string => `/sys/block/${name}/loop/backing_file`;

async function listLoopDevices(): Promise<string[]> {
  return (await listLoops()).map(({ device }) => device);
}

/**
 * The devices (`device` is `major:minor`) that have a file. The kernel lists only devices with a size in `/proc/partitions`, and a
 * host on which hundreds of sandboxes ran keeps hundreds of loop devices without a file: reading the folders of all of
 * them in /sys took half a second.
 */
async function listLoops(): Promise<{ readonly name: string; readonly device: string }[]> {
  const rows = (await readFile('/proc/partitions', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/));
  return rows
    .map(([major = '', minor = '', , name = '']) => ({ name, device: `${major}:${minor}` }))
    .filter(({ name }) => /^loop\d+$/.test(name));
}

/** The files behind those of the devices that have one. */
async function findBackingFiles(devices: readonly string[]): Promise<string[]> {
  const paths = devices.map((device) => `/sys/dev/block/${device}/loop/backing_file`);
  const files = await readAll(paths);
  return files.map((file) => file.trimEnd()).filter((file) => file !== '');
}

/**
 * One after the other: a host has hundreds of loop devices, and hundreds of sandboxes may end at once. Read in parallel,
 * they exceed the open files of a process. The content of a missing file is empty.
 */
async function readAll(paths: readonly string[]): Promise<string[]> {
  const contents: string[] = [];
  for (const path of paths) contents.push(await readFile(path, 'utf8').catch(() => ''));
  return contents;
}
