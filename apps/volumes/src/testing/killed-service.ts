import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@soulbox/base/logger';
import { openDiskReserve } from '@soulbox/storage';
import { openObjectStore } from '@soulbox/storage/objects';
import { directAccess, sealedObjects } from '@soulbox/vault';
import { openPaths } from '@soulbox/volumes';
import { openStoredVolumes } from '@soulbox/volumes/stored';
import { usualUploadLimits } from '../storage/upload-limits.ts';
import { createVolumeStore } from '../storage/upload-volumes.ts';
import { createOpenVolumes } from '../volumes/open-volumes.ts';
import { applyStored, bytesOf, operationAt } from './stored-model.ts';
import type { StoredFiles } from './stored-model.ts';

/**
 * A volume service that changes a volume, uploads it, evicts and collects as fast as it can, until it is killed: `FOLDER
 * KEY SEED FIRST NONCE EARLIER`. It prints the number of each change that was answered and flushed.
 */
const [folder = '', digits = '', seed = '', first = '', nonce = '', earlier = ''] = process.argv.slice(2);
const logger = createLogger({ level: 'error' });
const key = Buffer.from(digits, 'hex');
const directory = join(folder, 'data');
const objects = sealedObjects(directAccess(await openObjectStore(`file://${folder}/store`)), 'a'.repeat(20));
const stored = openStoredVolumes({ objects, key, directory, localBytes: 1024 * 1024, logger });
const store = createVolumeStore({
  ...{ stored, objects, key, directory, logger },
  owner: { nonce, earlier: earlier.split(',') },
  limits: {
    ...usualUploadLimits,
    ...{ lookMs: 5, settleMs: 5, everyMs: 5, pauseFactor: 0, trimMs: 20, collectMs: 50, graceMs: 100 },
    rewriteMs: 10,
  },
});
const reserve = openDiskReserve(join(folder, 'reserve'));
const volumes = createOpenVolumes(directory, { reserve, bootId: 'b', store: store.forVolumes, logger });
store.start(volumes);
const place = { teamId: 't', groupId: 'v', volumeId: 'v' };
const owner = { uid: 1, gid: 1, mode: 0o644 };

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}

const files: StoredFiles = new Map();
for (let number = 0; number < Number(first); number++)
  applyStored(files, operationAt(Number(seed), number, files), number);

for (let number = Number(first); ; number++) {
  const operation = operationAt(Number(seed), number, files);
  const { kind, name } = operation;
  await volumes.use(place, async ({ volume }) => {
    const paths = openPaths(volume);
    if (kind === 'write') await paths.write(`/${name}`, once(bytesOf(number, operation.length)), owner);
    else if (kind === 'unlink')
      await paths.remove(`/${name}`, { recursive: false, signal: new AbortController().signal });
    else {
      const inode = await volume.metadata.lookup(1, Buffer.from(name));
      if (inode === undefined) throw new Error(`${name} is missing`);
      if (kind === 'resize') await volume.setAttributes(inode.ino, { size: operation.size });
      else await volume.write(inode.ino, bytesOf(number, operation.length), { offset: 'end' });
    }
    await volume.sync();
  });
  applyStored(files, operation, number);
  writeSync(1, `${number}\n`);
  // Each file is read again sometimes: its blocks may have left the disk.
  if (number % 7 === 0)
    await volumes.use(place, async ({ volume }) => {
      for (const [path, content] of files) {
        const inode = await volume.metadata.lookup(1, Buffer.from(path));
        const found = await volume.read(inode?.ino ?? 0, 0, content.length + 1);
        if (!found.equals(content)) throw new Error(`${path} has other bytes`);
      }
    });
  if (number % 23 === 0) {
    const volumeId = `c${number}`;
    await volumes.copy(place, { volumeId, isReadOnly: true });
    await volumes.remove({ ...place, volumeId });
  }
}
