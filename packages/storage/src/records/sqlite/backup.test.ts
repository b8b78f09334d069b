import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { ensureDefaultTeam } from '../first-start.ts';
import { backupSqliteRecords, listCopiedVolumes } from './backup.ts';
import { openSqliteRecords } from './open.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-records-backup-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('committed data is copied, even while the records are open, readable only for root', async () => {
  const [path, target] = [join(folder, 'records.sqlite'), join(folder, 'copy.sqlite')];
  await using records = openSqliteRecords(path);
  const team = await ensureDefaultTeam(records);
  await backupSqliteRecords(path, target);
  expect((await stat(target)).mode & 0o777).toBe(0o600);
  await records.teams.create({ id: 'later', name: 'later', isDefault: false, createdAt: 1 });
  await using copy = openSqliteRecords(target);
  expect(await copy.teams.list()).toEqual([team]);
});

test('audit records that wait and keys of subjects are not copied, and leave no bytes in the copy', async () => {
  const [path, target] = [join(folder, 'records.sqlite'), join(folder, 'copy.sqlite')];
  await using records = openSqliteRecords(path);
  const { id } = await ensureDefaultTeam(records);
  await records.audit.append({ teamId: id, compose: () => 'a-waiting-record' }, Infinity);
  await records.audit.addSubjectKey(id, 'k', { id: 'x', sealed: 'a-wrapped-key' });
  await backupSqliteRecords(path, target);
  const bytes = await readFile(target);
  expect([bytes.includes('a-waiting-record'), bytes.includes('a-wrapped-key')]).toEqual([false, false]);
  await using copy = openSqliteRecords(target);
  expect(await copy.audit.findHead(id)).toMatchObject({ next: 1 });
  expect(await records.audit.listWaiting(id, 0, 10)).toHaveLength(1);
});

test('the volumes of a copy are listed, with copies that are being made and without those that are being deleted', async () => {
  const [path, target] = [join(folder, 'records.sqlite'), join(folder, 'copy.sqlite')];
  await using records = openSqliteRecords(path);
  const { id: teamId } = await ensureDefaultTeam(records);
  const record = (id: string) => ({
    ...{ id, teamId, groupId: 'g', name: id, sizeMb: undefined, sourceId: undefined, isReadOnly: false, createdAt: 1 },
    ...{ creationId: '', isUsed: false },
  });
  for (const id of ['used', 'new', 'removing']) await records.volumes.create(record(id), 10);
  await records.volumes.noteUse('used');
  await records.volumes.beginRemove(teamId, 'removing');
  await records.volumes.beginCopy({ ...record('copy'), isUsed: true }, 10);
  await backupSqliteRecords(path, target);
  await records.volumes.create(record('later'), 10);
  const contents = { teamId, groupId: 'g' };
  expect(listCopiedVolumes(target)).toEqual([
    { id: 'copy', ...contents, isUsed: true, isCopying: true },
    { id: 'new', ...contents, isUsed: false, isCopying: false },
    { id: 'used', ...contents, isUsed: true, isCopying: false },
  ]);
  expect(await readdir(folder)).not.toContain('copy.sqlite-wal');
});

test('a full disk is reported as full', async () => {
  const small = join(folder, 'small');
  await run('mkdir', [small]);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'soulbox-test', small]);
  try {
    await using _records = openSqliteRecords(join(folder, 'records.sqlite'));
    const copied = backupSqliteRecords(join(folder, 'records.sqlite'), join(small, 'copy.sqlite'));
    await expect(copied).rejects.toMatchObject({ reason: 'disk_full' });
  } finally {
    await run('umount', ['--', small]);
  }
});
