/** @module-tag violation */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openObjectStore } from '@soulbox/storage/objects';
import { directAccess, sealedObjects } from '@soulbox/vault';
import { expect, test } from 'vitest';
import { noQuota, root } from '../testing/fresh-volume.ts';
import { keptContent, keptNames } from '../testing/kept-files.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import { restoreVolume } from './restore-volume.ts';
import { openStoredVolumes } from './stored-volumes.ts';

const program = join(import.meta.dirname, '../testing/killed-rewriter.ts');
/** `npm run test:storage` sets the number. */
const kills = process.env['SOULBOX_TEST_KILLS'];
const lives = Number(kills ?? 8);
const lifeMsMax = 1500;
const lifeMsLimit = 15_000;
const { signal } = new AbortController();

test(
  'a process that is killed while it rewrites packs loses nothing, on the disk and in the store',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'killed-rewriter-'));
    const key = randomBytes(32);
    const data = join(folder, 'data');
    createVolume(data, { id: 'v', quota: noQuota, root });
    const objects = sealedObjects(directAccess(await openObjectStore(`file://${folder}/store`)), 'a'.repeat(20));
    const open = () =>
      openStoredVolumes({ objects, key, directory: folder, localBytes: undefined, logger: silentLogger });
    /** The contents of the kept files that are there. With `evicts`, everything comes from the store. */
    const check = async (of: string, evicts: boolean): Promise<number> => {
      await using stored = open();
      const blocks = stored.group('g', join(of, 'blocks'));
      await using volume = await openVolume(of, 'v', { openBlocks: () => blocks.handle() });
      let count = 0;
      for (const name of keptNames) {
        const inode = await volume.metadata.lookup(1, Buffer.from(name));
        if (inode === undefined || inode.size === 0) continue;
        const [block] = await volume.metadata.blocks(inode.ino, 0, 0);
        const named = typeof block?.content === 'string' ? block.content : '';
        // Only a block that is in the store may leave the disk.
        if (evicts && named.includes('@')) await blocks.evict([named.slice(0, 32)]);
        expect((await volume.read(inode.ino, 0, inode.size)).equals(keptContent(name)), name).toBe(true);
        count += 1;
      }
      return count;
    };
    let rewritten = 0;
    let inStore = 0;
    for (let life = 0; life < lives; life++) {
      const child = spawn(process.execPath, ['--conditions=soulbox-source', program, folder, key.toString('hex')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [output, faults] = ['', ''];
      child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (faults += text));
      const ended = once(child, 'close');
      await Promise.race([once(child.stdout, 'data'), ended]);
      await sleep(Math.random() * lifeMsMax);
      child.kill('SIGKILL');
      await ended;
      expect(faults).toBe('');
      rewritten += output.split('\n').length - 1;

      expect(await check(data, true)).toBe(keptNames.length);
      await using stored = open();
      const number = (await stored.generations.list(signal)).get('v')?.at(-1);
      const generation = number === undefined ? undefined : await stored.generations.get('v', number, signal);
      if (generation === undefined) continue;
      const recovered = join(folder, `recovered-${life}`);
      await restoreVolume({ packs: stored.packs, generation, data: recovered, signal });
      expect(await check(recovered, false)).toBe(keptNames.length);
      inStore += 1;
    }
    expect([rewritten > lives, inStore > lives / 2]).toEqual([true, true]);
    await removeTree(folder);
  },
  lives * lifeMsLimit,
);
