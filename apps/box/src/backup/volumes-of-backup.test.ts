/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { readSealedJson, writeSealedJson } from '@soulbox/checkpoints';
import { ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import { makeTestDirectory } from '@soulbox/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBackup } from './create.ts';
import type { StagedPart } from './create.ts';
import { readBackupManifest } from './manifest.ts';
import type { Backup } from './manifest.ts';
import { writePart } from './part-file.ts';
import { restoreBackup } from './restore.ts';
import { volumeStageIn } from './volume-stage.ts';

const { signal } = new AbortController();
const block = 'ab'.padEnd(32, '0');
let folder: string;
let data: string;
let backup: string;
beforeEach(async () => {
  folder = await makeTestDirectory('volumes-of-backup-');
  [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
  await mkdir(join(data, 'control/backup-stage'), { recursive: true });
  await mkdir(join(data, 'control/secrets'), { recursive: true });
  await writeFile(join(data, 'control/secrets/key'), 'key');
  await mkdir(join(data, 'volumes'));
});
afterEach(() => removeTree(folder));

/** As the volume service does. */
async function stageVolume(group: string, content: Buffer): Promise<void> {
  const path = join(volumeStageIn(data), 'volumes/t', group);
  await mkdir(join(path, group), { recursive: true });
  await mkdir(join(path, 'blocks/ab'), { recursive: true });
  await writeFile(join(path, group, 'metadata.sqlite'), `metadata of ${group}`);
  await writeFile(join(path, 'blocks/ab', block), content);
}

async function create(contents: Readonly<Record<string, Buffer>>, reports: readonly StagedPart[]): Promise<Backup> {
  return await createBackup({
    ...{ dataDirectory: data, templatesDirectory: join(data, 'templates'), target: backup, signal },
    fillStage: async (report) => {
      for (const [group, content] of Object.entries(contents)) await stageVolume(group, content);
      for (const one of reports) report(one);
    },
    onStep: () => undefined,
  });
}
const restore = async (target: string) =>
  await restoreBackup({ source: backup, target, onStep: () => undefined, signal });

test('volumes are in the backup, each group as a part of its own, and are restored where the service finds them', async () => {
  const contents = { g: randomBytes(100_000), h: randomBytes(10) };
  const made = await create(contents, [
    { what: 'volume', id: 'g' },
    { what: 'volume', id: 'h' },
    { what: 'volume', id: 'unused' },
  ]);
  expect(made).toMatchObject({ format: 1, volumeCount: 3, leftOut: [] });
  expect(made.parts.map(({ name, into }) => [name, into])).toEqual([
    ['secrets', '.'],
    ['volumes/g', '.'],
    ['volumes/h', '.'],
  ]);
  expect(made.parts[1]?.contentBytes).toBeGreaterThanOrEqual(100_000);
  expect(await readdir(join(data, 'volumes'))).toEqual([]);
  const target = join(folder, 'restored');
  expect((await restore(target)).backup.volumeCount).toBe(3);
  for (const [group, content] of Object.entries(contents)) {
    const path = join(target, 'volumes/t', group);
    expect(await readFile(join(path, group, 'metadata.sqlite'), 'utf8')).toBe(`metadata of ${group}`);
    expect((await readFile(join(path, 'blocks/ab', block))).equals(content)).toBe(true);
  }
  expect((await stat(join(target, 'volumes'))).mode & 0o777).toBe(0o700);
});

test('a backup without a volume says which and why, in a format that earlier versions refuse', async () => {
  const leftOut = { what: 'volume', id: 'g', leftOut: 'Damaged.' } as const;
  const made = await create({}, [{ what: 'sandbox', id: 'i', leftOut: 'Why.' }, leftOut]);
  expect(made).toMatchObject({ format: 2, volumeCount: 0 });
  expect(await readBackupManifest(backup)).toMatchObject({
    leftOut: [
      { what: 'sandbox', id: 'i', reason: 'Why.' },
      { what: 'volume', id: 'g', reason: 'Damaged.' },
    ],
  });
});

test('volumes of which a server does not speak, as one of an earlier version, are left out by name', async () => {
  {
    await using records = openSqliteRecords(join(data, 'control/backup-stage/records.sqlite'));
    const { id: teamId } = await ensureDefaultTeam(records);
    for (const id of ['saved', 'forgotten', 'refused', 'unused']) {
      const record = { teamId, groupId: id, name: id, sizeMb: undefined, sourceId: undefined, isReadOnly: false };
      await records.volumes.create({ ...record, id, createdAt: 1, creationId: '', isUsed: id !== 'unused' }, 10);
    }
  }
  const { leftOut } = await create({}, [
    { what: 'volume', id: 'saved' },
    { what: 'volume', id: 'refused', leftOut: 'Damaged.' },
  ]);
  expect(leftOut).toEqual([
    { what: 'volume', id: 'refused', reason: 'Damaged.' },
    { what: 'volume', id: 'forgotten', reason: 'The server saves no volumes. Restart it with this version.' },
  ]);
});

test('a backup of an earlier version, which has no volumes, is restored', async () => {
  await create({}, []);
  const { volumeCount: _, ...earlier } = (await readSealedJson(join(backup, 'backup.json'))) as Backup;
  await writeSealedJson(join(backup, 'backup.json'), earlier);
  expect((await restore(join(folder, 'restored'))).backup.volumeCount).toBe(0);
});

test('a part with one wrong byte, and one that is missing, leave nothing of a restore', async () => {
  await create({ g: randomBytes(100_000) }, []);
  const path = join(backup, 'volumes-g.tar.zst');
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
  const damaged = { reason: 'backup_unusable', message: expect.stringContaining('volumes/g') as string };
  await expect(restore(join(folder, 'restored'))).rejects.toMatchObject(damaged);
  expect(await readdir(join(folder, 'restored'))).toEqual([]);
  await rm(path);
  await expect(restore(join(folder, 'restored'))).rejects.toMatchObject(damaged);
});

test('a service that leaves a link in the stage ends the backup, and nothing of it stays', async () => {
  const creating = createBackup({
    ...{ dataDirectory: data, templatesDirectory: join(data, 'templates'), target: backup, signal },
    fillStage: async () => {
      await stageVolume('g', randomBytes(10));
      await rm(join(volumeStageIn(data), 'volumes/t/g/blocks/ab'), { recursive: true });
      await symlink('/etc', join(volumeStageIn(data), 'volumes/t/g/blocks/ab'));
    },
    onStep: () => undefined,
  });
  await expect(creating).rejects.toMatchObject({ reason: 'internal' });
  expect([await readdir(backup), await readdir(join(data, 'volumes'))]).toEqual([[], []]);
});

test('a link that came into the backup is not restored, and no file goes through it', async () => {
  await create({ g: randomBytes(10), h: randomBytes(10) }, []);
  const [evil, outside] = [join(folder, 'evil'), join(folder, 'outside')];
  await mkdir(outside);
  await mkdir(join(evil, 'volumes'), { recursive: true });
  // The next part would be written to where it leads.
  await symlink(outside, join(evil, 'volumes/t'));
  const path = join(backup, 'volumes-g.tar.zst');
  await rm(path);
  const written = await writePart({ directory: evil, names: ['volumes/t'] }, path, signal);
  const manifest = await readBackupManifest(backup);
  const parts = manifest.parts.map((part) => (part.name === 'volumes/g' ? { ...part, ...written } : part));
  await writeSealedJson(join(backup, 'backup.json'), { ...manifest, parts });
  const target = join(folder, 'restored');
  await expect(restore(target)).rejects.toMatchObject({ reason: 'backup_unusable' });
  expect([await readdir(target), await readdir(outside)]).toEqual([[], []]);
});

test('nothing that an earlier, killed backup has left is packed', async () => {
  await stageVolume('old', randomBytes(10));
  const made = await create({}, []);
  expect(made.parts.map(({ name }) => name)).toEqual(['secrets']);
});
