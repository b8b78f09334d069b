import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { testDirectory } from '@soulbox/testing';
import { sealedObjects, socketAccess } from '@soulbox/vault';
import { createVolume, openVolume } from '@soulbox/volumes';
import type { Volume } from '@soulbox/volumes';
import { openStoredVolumes, restoreVolume, uploadVolume } from '@soulbox/volumes/stored';
import type { StoredVolumes } from '@soulbox/volumes/stored';
import type { Lab } from '../lab.ts';
import type { Figure } from '../measurement.ts';
import { startChild } from '../start-child.ts';
import { timeMs } from '../time.ts';

const mib = 1024 * 1024;
const fileMib = 512;
const key = randomBytes(32);
const serverId = 'a'.repeat(20);
const place = { teamId: 't', groupId: 'g', volumeId: 'v' };
const owner = { uid: 0, gid: 0, mode: 0o644 };
const { signal } = new AbortController();

/**
 * A volume in a folder as the store, through the process of the object store, without FUSE and sandboxes: its upload, and
 * reads in order, 1 MiB at a time, of a host that has nothing of it. Then the same from the disk.
 */
export async function* coldRead(lab: Lab): AsyncGenerator<Figure> {
  const rounds = Math.max(3, Math.round(lab.rounds / 20));
  const samples = { upload: [] as number[], cold: [] as number[], warm: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    lab.progress(`a volume of ${fileMib} MiB from the store, round ${round} of ${rounds}`);
    const [upload, cold, warm] = await measureOnce();
    if (round < 0) continue;
    samples.upload.push(fileMib / (upload / 1000));
    samples.cold.push(fileMib / (cold / 1000));
    samples.warm.push(fileMib / (warm / 1000));
  }
  const note = 'store in a folder of the same disk, without FUSE';
  yield { what: 'upload of random bytes to the store', unit: 'MiB/s', samples: samples.upload, note };
  yield {
    ...{ what: 'cold read in order from the store', unit: 'MiB/s', samples: samples.cold, note },
    aims: [{ at: 'p50', atLeast: 250 }],
  };
  yield { what: 'the same again, from the disk', unit: 'MiB/s', samples: samples.warm, note };
}

async function measureOnce(): Promise<[number, number, number]> {
  const folder = await mkdtemp(join(testDirectory, 'bench-cold-'));
  try {
    const path = join(folder, 'socket');
    const settings = { memoryMb: 0, redis: '', redisCredentialsFile: '', http: '' };
    await mkdir(join(folder, 'store'));
    const args = [`file://${folder}/store`, '', path, JSON.stringify(settings)];
    await using _child = await startChild('object-process.ts', args);
    const open = (): StoredVolumes =>
      openStoredVolumes({
        ...{ objects: sealedObjects(socketAccess(path), serverId), key, directory: folder },
        ...{ localBytes: undefined, logger: silentLogger },
      });
    const data = join(folder, 'data');
    const recovered = join(folder, 'recovered');
    let upload = 0;
    {
      await using stored = open();
      createVolume(data, { id: 'v', quota: { bytes: undefined, inodes: undefined }, root: { ...owner, mode: 0o755 } });
      await using volume = await openIn(data, stored);
      const { ino } = await volume.create(1, Buffer.from('a'), { ...owner, mode: 0o100644 });
      for (let at = 0; at < fileMib; at++) await volume.write(ino, randomBytes(mib), { offset: at * mib });
      await volume.sync();
      upload = await timeMs(async () => {
        const { generation } = await uploadVolume({
          ...{ volume, blocks: stored.group('g', join(data, 'blocks')), data, stage: join(folder, 'stage'), place },
          ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
          ...{ numbers: [], last: undefined, checkOwner: () => Promise.resolve(), signal },
        });
        await restoreVolume({ packs: stored.packs, generation, data: recovered, signal });
      });
    }
    await using stored = open();
    await using volume = await openIn(recovered, stored);
    const cold = await timeMs(() => readAll(volume));
    return [upload, cold, await timeMs(() => readAll(volume))];
  } finally {
    await removeTree(folder);
  }
}

async function openIn(data: string, stored: StoredVolumes): Promise<Volume> {
  return await openVolume(data, 'v', { openBlocks: (path) => stored.group('g', path).handle() });
}

async function readAll(volume: Volume): Promise<void> {
  const inode = await volume.metadata.lookup(1, Buffer.from('a'));
  for (let at = 0; at < fileMib; at++)
    if ((await volume.read(inode?.ino ?? 0, at * mib, mib)).length !== mib) throw new Error('A read was short.');
}
