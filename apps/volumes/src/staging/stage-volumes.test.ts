/** @module-tag violation */
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { openPaths, openVolume } from '@soulbox/volumes';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOpenVolumes } from '../volumes/open-volumes.ts';
import type { OpenVolumes } from '../volumes/open-volumes.ts';
import { createStaging } from './stage-volumes.ts';
import type { Staging } from './stage-volumes.ts';

const place = { teamId: 't', groupId: 'v1', volumeId: 'v1' };
const other = { teamId: 't', groupId: 'v2', volumeId: 'v2' };
let directory: string;
let volumes: OpenVolumes;
let staging: Staging;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'staging-'));
  const reserve = openDiskReserve(join(directory, '.reserve'));
  volumes = createOpenVolumes(directory, { reserve, bootId: 'b', store: undefined, logger: silentLogger });
  staging = createStaging({ volumes, directory, logger: silentLogger });
  await staging.begin();
});
afterEach(async () => {
  await staging[Symbol.asyncDispose]();
  await volumes[Symbol.asyncDispose]();
  await removeTree(directory);
});

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content);
}
const write = async (text: string, where = place): Promise<void> =>
  await volumes.use(where, async ({ volume }) => {
    await openPaths(volume).write('/file', once(Buffer.from(text.padEnd(30_000))), { uid: 1, gid: 1, mode: 0o644 });
  });
/** What the stage has of a volume. */
async function staged({ teamId, groupId, volumeId } = place): Promise<string> {
  await using volume = await openVolume(join(directory, '.backup/volumes', teamId, groupId), volumeId);
  using result = await openPaths(volume).read('/file');
  let text = '';
  for await (const piece of result.stream) text += String(piece);
  return text.trimEnd();
}
const names = async (path: string): Promise<string[]> =>
  await readdir(join(directory, '.backup', path)).catch(() => []);

test('a volume is saved as it was when it was held, and as it is now if it was not', async () => {
  await write('before');
  await write('before', other);
  await staging.hold(place);
  await write('after');
  await write('after', other);
  await staging.finish(place);
  await staging.finish(other);
  expect([await staged(), await staged(other)]).toEqual(['before', 'after']);
  expect(await names('drafts')).toEqual([]);
  // A second call has nothing to do.
  await staging.finish(place);
  expect(await staged()).toBe('before');
});

test('the last moment counts, and the next backup begins with nothing', async () => {
  await write('one');
  await staging.hold(place);
  await write('two');
  await staging.hold(place);
  await write('three');
  await staging.finish(place);
  expect(await staged()).toBe('two');
  await staging.begin();
  expect(await names('')).toEqual([]);
  await staging.finish(place);
  expect(await staged()).toBe('three');
});

test('a volume without contents, and one that was deleted, have nothing in the stage', async () => {
  await staging.hold(place);
  await staging.finish(place);
  await write('gone', other);
  await staging.hold(other);
  const finishing = staging.finish(other);
  await Promise.all([volumes.remove(other), finishing.catch(() => undefined)]);
  await staging.finish(other);
  expect(await names('volumes/t/v1')).toEqual([]);
  expect(await readdir(join(directory, 't')).catch(() => [])).toEqual([]);
});

test('a backup that is given up ends what it has begun, and leaves nothing', async () => {
  await write('one');
  await staging.hold(place);
  const finishing = staging.finish(place);
  const ended = finishing.catch((error: unknown) => error);
  await staging.drop();
  expect(await names('')).toEqual([]);
  expect(await readdir(directory)).not.toContain('.backup');
  // It was complete before, or it was told.
  expect([undefined, 'illegal_transition']).toContain(((await ended) as { reason?: string } | undefined)?.reason);
  await volumes.remove(place);
});

test('what a killed service has left is gone when the next backup begins, and is no volume', async () => {
  await mkdir(join(directory, '.backup/drafts/v1-1/v1'), { recursive: true });
  await writeFile(join(directory, '.backup/drafts/v1-1/v1/metadata.sqlite'), 'half');
  expect(await volumes.list()).toEqual([]);
  await staging.begin();
  expect(await names('')).toEqual([]);
});

test('a volume that cannot be read is refused to whoever waits, and another one is saved', async () => {
  await write('one');
  await write('two', other);
  await volumes[Symbol.asyncDispose]();
  const blocks = join(directory, 't/v1/blocks');
  await removeTree(blocks);
  const reserve = openDiskReserve(join(directory, '.reserve'));
  volumes = createOpenVolumes(directory, { reserve, bootId: 'b', store: undefined, logger: silentLogger });
  staging = createStaging({ volumes, directory, logger: silentLogger });
  await staging.hold(place);
  await staging.finish(other);
  await expect(staging.finish(place)).rejects.toMatchObject({ reason: 'volume_damaged' });
  expect([await names('volumes/t/v1/v1'), await staged(other)]).toEqual([[], 'two']);
  // While a copy is counted, nothing leaves the disk.
  expect(volumes.copies.of('v1')).toEqual(expect.any(Number));
});
