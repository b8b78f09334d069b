/** @module-tag violation */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openObjectStore } from '@soulbox/storage/objects';
import { directAccess, sealedObjects } from '@soulbox/vault';
import type { SealedObjects } from '@soulbox/vault';
import { openVolume } from '@soulbox/volumes';
import { openStoredVolumes, restoreVolume } from '@soulbox/volumes/stored';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { applyStored, createRandom, operationAt } from '../testing/stored-model.ts';
import type { StoredFiles } from '../testing/stored-model.ts';

const program = join(import.meta.dirname, '../testing/killed-service.ts');
/** Undefined: the short form, which is the same each time. `npm run test:storage` sets it. */
const kills = process.env['SOULBOX_TEST_KILLS'];
const rounds = Number(kills ?? 6);
const lifeMsMax = 1500;
const roundMsMax = 40_000;
const seed = kills === undefined ? 20_261 : Math.floor(Math.random() * 2 ** 31);
const key = randomBytes(32);
let folder: string;
let objects: SealedObjects;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'killed-service-'));
  await mkdir(join(folder, 'data'));
  objects = sealedObjects(directAccess(await openObjectStore(`file://${folder}/store`)), 'a'.repeat(20));
});
afterEach(async () => await removeTree(folder));

/** Returns the number of the change after the last one that was answered. */
async function killOnce(round: number, first: number, lifeMs: number): Promise<number> {
  const nonces = Array.from({ length: round + 1 }, (_, index) => `n${index}`);
  const own = [folder, key.toString('hex'), String(seed), String(first), nonces.pop() ?? '', nonces.join(',')];
  const child = spawn(process.execPath, ['--conditions=soulbox-source', program, ...own], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, faults] = ['', ''];
  child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (faults += text));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  await sleep(lifeMs);
  child.kill('SIGKILL');
  await ended;
  expect(faults).toBe('');
  const lines = output.split('\n').slice(0, -1);
  return lines.length === 0 ? first : Number(lines.at(-1)) + 1;
}

/** The files after so many changes, from those of before. */
function modelAfter(count: number, from: Moment): StoredFiles {
  const files: StoredFiles = new Map(from.files);
  for (let number = from.count; number < count; number++) applyStored(files, operationAt(seed, number, files), number);
  return files;
}

interface Moment {
  readonly count: number;
  readonly files: StoredFiles;
}

async function filesIn(data: string): Promise<StoredFiles> {
  const stored = openStoredVolumes({ objects, key, directory: folder, localBytes: undefined, logger: silentLogger });
  await using _stored = stored;
  const volume = await openVolume(data, 'v', { openBlocks: (path) => stored.group('v', path).handle() });
  await using _volume = volume;
  const files: StoredFiles = new Map();
  for (const { name, inode } of await volume.metadata.list(1, 0, 1000))
    if (!Buffer.from(name).toString().startsWith('.'))
      files.set(Buffer.from(name).toString(), await volume.read(inode.ino, 0, inode.size));
  return files;
}

function isSame(one: StoredFiles, other: StoredFiles): boolean {
  return one.size === other.size && [...one].every(([name, content]) => other.get(name)?.equals(content) === true);
}

test(
  'a service that is killed at any moment loses nothing, and the store has the volume of one moment',
  async () => {
    const random = createRandom(seed);
    let count = 0;
    let storedMoment: Moment = { count: 0, files: new Map() };
    for (let round = 0; round < rounds; round++) {
      count = await killOnce(round, count, random() * lifeMsMax);
      const found = await filesIn(join(folder, 'data/t/v'));
      // The change after the last one that was answered may be there.
      if (!isSame(found, modelAfter(count, storedMoment)) && isSame(found, modelAfter(count + 1, storedMoment)))
        count += 1;
      expect(
        isSame(found, modelAfter(count, storedMoment)),
        `seed ${seed}, round ${round}: the disk after ${count} changes`,
      ).toBe(true);

      const stored = openStoredVolumes({
        objects,
        key,
        directory: folder,
        localBytes: undefined,
        logger: silentLogger,
      });
      await using _stored = stored;
      const { signal } = new AbortController();
      const number = (await stored.generations.list(signal)).get('v')?.at(-1);
      if (number === undefined) continue;
      const generation = await stored.generations.get('v', number, signal);
      if (generation === undefined) throw new Error('the generation is missing');
      expect(generation.missingBlocks).toBe(0);
      const data = join(folder, `recovered-${round}`);
      await restoreVolume({ packs: stored.packs, generation, data, signal });
      const recovered = await filesIn(data);
      let moment: Moment | undefined = storedMoment;
      while (moment !== undefined && !isSame(recovered, moment.files))
        moment =
          moment.count < count ? { count: moment.count + 1, files: modelAfter(moment.count + 1, moment) } : undefined;
      expect(
        moment,
        `seed ${seed}, round ${round}: the store, ${count} changes, ${storedMoment.count} before`,
      ).toBeDefined();
      storedMoment = moment ?? storedMoment;
      await removeTree(data);
    }
    expect(count).toBeGreaterThan(50);
    expect(storedMoment.count).toBeGreaterThan(10);
  },
  rounds * roundMsMax,
);
