import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { holdVolume } from '../copies/hold-volume.ts';
import { stageVolume } from '../copies/stage-volume.ts';
import { openVolume } from '../volume/open.ts';

/**
 * A process that writes one number after the other into two files, makes and deletes others, and saves the volume for a
 * backup meanwhile, until it is killed: `FOLDER`. Prints a line for each time it was saved.
 */
const [folder = ''] = process.argv.slice(2);
const data = join(folder, 'data');
const { signal } = new AbortController();
const volume = await openVolume(data, 'v');
const owner = { uid: 0, gid: 0, mode: 0o100644 };
const inoOf = async (name: string): Promise<number> =>
  ((await volume.metadata.lookup(1, Buffer.from(name))) ?? (await volume.create(1, Buffer.from(name), owner))).ino;
const [one, two] = [await inoOf('one'), await inoOf('two')];
/** Where the process before was. */
const [first = 0] = await volume.read(two, 0, 1);

async function writeAll(): Promise<void> {
  for (let number = first; ; number++) {
    const content = Buffer.alloc(40_000, number % 256);
    for (const ino of [one, two]) await volume.write(ino, content, { offset: 0 });
    await volume.write(await inoOf(`n${number % 8}`), content, { offset: 0 });
    if (number % 3 === 0) await volume.unlink(1, Buffer.from(`n${number % 8}`));
    if (number % 5 === 0) await volume.sync();
  }
}
async function stageAll(): Promise<void> {
  for (;;) {
    using held = await holdVolume(volume, data);
    await stageVolume(held, { draft: join(folder, 'drafts/v'), target: join(folder, 'stage'), signal });
    writeSync(1, '.\n');
  }
}
await Promise.all([writeAll(), stageAll()]);
