import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { createVolume } from '@soulbox/volumes';
import { expect, test } from 'vitest';
import { createOpenVolumes } from './open-volumes.ts';

/** Opens the databases of all volumes again and again. SQLite makes files beside each, and removes them. */
const reader = `
const { DatabaseSync } = require('node:sqlite');
const { readdirSync } = require('node:fs');
const { workerData: folder } = require('node:worker_threads');
const names = readdirSync(folder);
for (;;)
  for (const name of names)
    try {
      const database = new DatabaseSync(folder + '/' + name + '/metadata.sqlite');
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
      database.close();
    } catch {}
`;

test('a volume can be deleted while its metadata are read', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'remove-volume-'));
  const folder = join(directory, 't/g');
  await mkdir(folder, { recursive: true });
  const names = Array.from({ length: 40 }, (_, at) => `v${at}`);
  const quota = { bytes: undefined, inodes: undefined };
  for (const id of names) createVolume(folder, { id, quota, root: { uid: 0, gid: 0, mode: 0o755 } });
  const reading = new Worker(reader, { eval: true, workerData: folder });
  try {
    await using volumes = createOpenVolumes(directory, {
      ...{ reserve: openDiskReserve(join(directory, '.reserve')), bootId: 'b', store: undefined, logger: silentLogger },
    });
    for (const volumeId of names) await volumes.remove({ teamId: 't', groupId: 'g', volumeId });
    expect((await readdir(folder).catch(() => [])).filter((name) => names.includes(name))).toEqual([]);
  } finally {
    await reading.terminate();
    await removeTree(directory);
  }
});
