/** @module-tag violation */
import { chown, cp, link, lstat, mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { fileMasterKeys } from '@soulbox/keyring';
import { readFolderPolicy } from '@soulbox/linux/fscrypt';
import { claimStage } from '@soulbox/runner';
import { encryptFolders, openRunnerKeys } from '@soulbox/runner/process';
import { openDiskReserve } from '@soulbox/storage';
import { makeTestDirectory } from '@soulbox/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { masterKeyFileIn, runnerKeysFileIn, settleVolumes } from '../data-folder.ts';
import {
  claimVolumeStage,
  listStagedGroups,
  sweepVolumeStage,
  takeVolumeStage,
  volumeStageIn,
} from './volume-stage.ts';

const block = 'ab'.padEnd(32, '0');
let folder: string;
let stage: string;
/** `volumes/t/g` in the stage, with the volume `v`. */
let group: string;
beforeEach(async () => {
  folder = await makeTestDirectory('volume-stage-');
  stage = volumeStageIn(folder);
  group = join(stage, 'volumes/t/g');
  await mkdir(join(group, 'v'), { recursive: true });
  await mkdir(join(group, 'blocks/ab'), { recursive: true });
  await writeFile(join(group, 'v/metadata.sqlite'), 'metadata');
  await writeFile(join(group, 'blocks/ab', block), 'block');
});
afterEach(() => removeTree(folder));

test('groups with a complete volume are listed', async () => {
  await mkdir(join(stage, 'volumes/t/h/blocks'), { recursive: true });
  await mkdir(join(stage, 'drafts/x'), { recursive: true });
  expect(await listStagedGroups(stage)).toEqual([{ groupId: 'g', name: 'volumes/t/g' }]);
  await rm(join(stage, 'volumes'), { recursive: true });
  expect(await listStagedGroups(stage)).toEqual([]);
  await removeTree(stage);
  expect(await listStagedGroups(stage)).toEqual([]);
});

const replaceWithLink = async (name: string, target = '/etc'): Promise<void> => {
  await rm(join(stage, name), { recursive: true });
  await symlink(target, join(stage, name));
};
const plants: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['a link in place of the groups', async () => await replaceWithLink('volumes')],
  ['a link in place of a team', async () => await replaceWithLink('volumes/t')],
  ['a link in place of a group', async () => await replaceWithLink('volumes/t/g')],
  ['a link in place of a volume', async () => await replaceWithLink('volumes/t/g/v')],
  [
    'a link in place of the metadata',
    async () => await replaceWithLink('volumes/t/g/v/metadata.sqlite', '/etc/shadow'),
  ],
  ['a link in place of the blocks', async () => await replaceWithLink('volumes/t/g/blocks')],
  ['a link in place of a folder of blocks', async () => await replaceWithLink('volumes/t/g/blocks/ab')],
  ['a link in place of a block', async () => await replaceWithLink(`volumes/t/g/blocks/ab/${block}`, '/etc/shadow')],
  ['another file beside the metadata', async () => await writeFile(join(group, 'v/mounts.json'), '{}')],
  ['a file in place of a volume', async () => await writeFile(join(group, 'file'), '')],
  ['a name that is no id', async () => await mkdir(join(stage, 'volumes/t/g.h'))],
  ['a block in the wrong folder', async () => await writeFile(join(group, 'blocks/ab', 'cd'.padEnd(32, '0')), '')],
  ['a file that is no block', async () => await writeFile(join(group, 'blocks/ab/x'), '')],
  ['a pipe', async () => await run('mkfifo', [join(group, 'blocks/ab', 'ab'.padEnd(32, '1'))])],
];
test.each(plants)('%s ends the backup', async (_, plant) => {
  await plant();
  await expect(listStagedGroups(stage)).rejects.toMatchObject({ reason: 'internal' });
});

test('a backup removes what a killed one has left, and its own at the end, without following links', async () => {
  await symlink(join(folder, 'kept'), join(stage, 'link'));
  await mkdir(join(folder, 'kept'));
  await writeFile(join(folder, 'kept/file'), '');
  {
    await using _claimed = await claimVolumeStage(folder);
    expect(await readdir(join(folder, 'volumes'))).toEqual([]);
    await mkdir(group, { recursive: true });
  }
  expect(await readdir(join(folder, 'volumes'))).toEqual([]);
  expect(await readdir(join(folder, 'kept'))).toEqual(['file']);
});

test('a backup takes the stage where the service does not reach it, if the file system allows it', async () => {
  {
    await using _claimed = await claimStage(folder);
    const taken = await takeVolumeStage(folder);
    expect(taken).not.toContain('/volumes/');
    expect([await listStagedGroups(taken), await readdir(join(folder, 'volumes'))]).toMatchObject([
      [{ name: 'volumes/t/g' }],
      [],
    ]);
    // There is none any more.
    expect(await listStagedGroups(await takeVolumeStage(folder))).toEqual([]);
  }
  expect(await readdir(folder)).toEqual(['volumes']);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'soulbox-test', join(folder, 'volumes')]);
  try {
    await mkdir(group, { recursive: true });
    await using _claimed = await claimStage(folder);
    expect(await takeVolumeStage(folder)).toBe(stage);
  } finally {
    await run('umount', ['--', join(folder, 'volumes')]);
  }
});

test('an encrypted folder of volumes does not keep a backup from taking them', async () => {
  const [image, disk] = [join(folder, 'image'), join(folder, 'disk')];
  await mkdir(disk);
  await using file = await open(image, 'wx');
  await file.truncate(16 * 2 ** 20);
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', 'encrypt', image]);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  try {
    await mkdir(join(disk, 'volumes'));
    const keysFile = runnerKeysFileIn(disk);
    await mkdir(join(disk, 'secrets'));
    using keyring = await openRunnerKeys({
      ...{ path: keysFile, dataDirectory: disk, sources: [fileMasterKeys(masterKeyFileIn(disk))] },
      reserve: openDiskReserve(join(disk, 'reserve')),
    });
    const folders = [join(disk, 'volumes')];
    const encrypted = await encryptFolders({ isWanted: true, folders, keysFile, keyring, logger: silentLogger });
    expect(readFolderPolicy(join(disk, 'volumes')).kind).toBe('encrypted');
    await cp(stage, volumeStageIn(disk), { recursive: true });
    {
      await using _claimed = await claimStage(disk);
      const taken = await takeVolumeStage(disk);
      expect([await listStagedGroups(taken), await readdir(join(disk, 'volumes'))]).toMatchObject([
        [{ groupId: 'g' }],
        [],
      ]);
      expect(await readFile(join(taken, 'volumes/t/g/blocks/ab', block), 'utf8')).toBe('block');
    }
    await encrypted?.lock();
  } finally {
    await run('umount', ['--', disk]);
  }
});

test('a server that starts leaves the volumes of a living backup, and removes those of a killed one', async () => {
  const { uid } = await stat(join(folder, 'volumes'));
  {
    await using _claimed = await claimStage(folder);
    await sweepVolumeStage(folder, uid);
    expect(await listStagedGroups(stage)).toHaveLength(1);
  }
  await sweepVolumeStage(folder, uid);
  expect(await readdir(join(folder, 'volumes'))).toEqual([]);
  await removeTree(join(folder, 'volumes'));
  await sweepVolumeStage(folder, uid);
});

test('another user gets all blocks of the volumes, also those that a backup has', async () => {
  const own = join(folder, 'volumes/t/g/blocks/ab', block);
  await mkdir(join(folder, 'volumes/t/g/blocks/ab'), { recursive: true });
  await link(join(group, 'blocks/ab', block), own);
  await chown(own, 1234, 1234);
  await using _claimed = await claimStage(folder);
  await takeVolumeStage(folder);
  await sweepVolumeStage(folder, 4321);
  await settleVolumes(folder, 4321);
  expect((await lstat(own)).uid).toBe(4321);
});
