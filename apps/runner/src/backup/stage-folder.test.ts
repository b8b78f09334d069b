import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimStage, findStageOwner, stageIn, sweepStage } from './stage-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-stage-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('only one process at a time makes a backup, and a server that starts meanwhile leaves its stage alone', async () => {
  {
    await using _stage = await claimStage(folder);
    await expect(claimStage(folder)).rejects.toMatchObject({ reason: 'illegal_transition' });
    await writeFile(join(stageIn(folder), 'staged'), 'staged');
    await sweepStage(folder);
    expect(await readdir(stageIn(folder))).toContain('staged');
    expect(await findStageOwner(folder)).toMatchObject({ pid: process.pid });
  }
  expect(await readdir(folder)).toEqual([]);
});

test.each(['', '{', '{"pid":1,"startTicks":-1}'])(
  'the stage of a dead process (owner %j) is swept and can be claimed',
  async (owner) => {
    const leave = async (): Promise<void> => {
      await mkdir(stageIn(folder), { recursive: true });
      await writeFile(join(stageIn(folder), 'owner.json'), owner);
      await writeFile(join(stageIn(folder), 'left'), 'left');
    };
    await leave();
    expect(await findStageOwner(folder)).toBeUndefined();
    {
      await using _stage = await claimStage(folder);
      expect(await readdir(stageIn(folder))).toEqual(['owner.json']);
    }
    await leave();
    await sweepStage(folder);
    expect(await readdir(folder)).toEqual([]);
  },
);
