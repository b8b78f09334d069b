import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '@soulbox/base/logger';
import { openObjectStore } from '@soulbox/storage/objects';
import { directAccess, sealedObjects } from '@soulbox/vault';
import { collectPacks } from '../stored/collect.ts';
import { findHalfDead } from '../stored/half-dead.ts';
import { namesOf } from '../stored/block-rows.ts';
import { rewritePacks } from '../stored/rewrite-packs.ts';
import { openStoredVolumes } from '../stored/stored-volumes.ts';
import { uploadVolume } from '../stored/upload-volume.ts';
import type { UploadedGeneration } from '../stored/upload-volume.ts';
import { findPackPlace } from '../blocks/block-names.ts';
import { openVolume } from '../volume/open.ts';
import { metadataPath } from '../volume/places.ts';
import { keptContent, keptNames } from './kept-files.ts';

/**
 * A process that makes packs of which little is needed, rewrites them and deletes the old ones at once, until it is killed:
 * `FOLDER KEY`. Prints a line for each rewritten pack.
 */
const [folder = '', digits = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const data = join(folder, 'data');
const objects = sealedObjects(directAccess(await openObjectStore(`file://${folder}/store`)), 'a'.repeat(20));
const stored = openStoredVolumes({
  ...{ objects, key: Buffer.from(digits, 'hex'), directory: folder, localBytes: undefined, logger: silentLogger },
});
const blocks = stored.group('g', join(data, 'blocks'));
const volume = await openVolume(data, 'v', { openBlocks: () => blocks.handle() });
const owner = { uid: 0, gid: 0, mode: 0o100644 };
let numbers = (await stored.generations.list(signal)).get('v') ?? [];

async function write(name: string, content: Buffer): Promise<void> {
  const present = await volume.metadata.lookup(1, Buffer.from(name));
  const { ino } = present ?? (await volume.create(1, Buffer.from(name), owner));
  await volume.write(ino, content, { offset: 0 });
}

async function upload(): Promise<UploadedGeneration> {
  const uploaded = await uploadVolume({
    ...{ volume, blocks, data, stage: join(folder, 'stage'), place: { teamId: 't', groupId: 'g', volumeId: 'v' } },
    ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
    ...{ numbers, last: undefined, checkOwner: () => Promise.resolve(), signal },
  });
  for (const number of numbers) await stored.generations.delete('v', number, signal);
  numbers = [uploaded.generation.number];
  return uploaded;
}

async function collect(): Promise<void> {
  const named = new Set<string>();
  for await (const name of namesOf(metadataPath(data, 'v'))) {
    const pack = findPackPlace(name)?.pack;
    if (pack !== undefined) named.add(pack);
  }
  await collectPacks({
    ...{ group: 'g', packs: stored.packs, generations: stored.generations, kept: new Map([['v', numbers]]), named },
    ...{
      forget: (packs) => {
        blocks.forgetStored(packs);
      },
      graceMs: 0,
      nowMs: 0,
      waiting: new Map(),
      signal,
    },
  });
}

for (;;) {
  // A new block for the same bytes: those of before belong to a generation.
  for (const name of keptNames) await write(name, keptContent(name));
  await write('junk', Buffer.alloc(1024 * 1024, 'junk'));
  await upload();
  const junk = await volume.metadata.lookup(1, Buffer.from('junk'));
  await volume.unlink(1, Buffer.from('junk'));
  volume.forget('', junk?.ino ?? 0);
  await volume.sync();
  const { packs } = await rewritePacks({
    ...{ group: 'g', packs: stored.packs, blocks, checkOwner: () => Promise.resolve(), signal },
    wanted: await findHalfDead({ data, pieces: new Map(), totals: new Map(), max: 8 }),
    rename: async (_, renamed) => await volume.metadata.renameBlocks(renamed),
    onSize: () => undefined,
  });
  for (const pack of packs) writeSync(1, `${pack}\n`);
  await upload();
  await collect();
}
