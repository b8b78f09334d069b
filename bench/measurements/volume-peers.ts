import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { testDirectory } from '@soulbox/testing';
import type { Lab } from '../lab.ts';
import type { Figure, Skipped } from '../measurement.ts';
import { openPlaces } from '../peers/open-places.ts';
import type { Place } from '../peers/place.ts';
import { volumeSteps } from './volume-steps.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../volume-work.py');
/** Of peers one, because they take minutes. */
const peerRounds = 1;
/** A step that takes longer has failed. */
const stepMs = 300_000;

/** Steps that use a file which the host may have in memory: for a volume, what lies below it. */
const usesLarge: ReadonlySet<string> = new Set(['read', 'random-read', 'random-write']);

type Samples = Map<string, number[]>;

/**
 * A volume beside other file systems on one disk of the host, in turns, without sandboxes: the disk itself (ext4), and
 * programs that show a bucket as a folder.
 */
export async function* comparePeers(lab: Lab): AsyncGenerator<Figure | Skipped> {
  const folder = await mkdtemp(join(testDirectory, 'bench-peers-'));
  const source = join(folder, 'source');
  try {
    await using places = await openPlaces(folder);
    await run('python3', [program, folder, 'prepare', source]);
    const ours = [places.disk, places.volume];
    const samples = new Map(ours.map(({ name }): [string, Samples] => [name, new Map<string, number[]>()]));
    const rounds = Math.max(3, Math.round(lab.rounds / 10));
    for (let round = -1; round < rounds; round++) {
      lab.progress(`programs on a volume of the host, round ${round} of ${rounds}`);
      for (const place of ours) {
        const failed = await workOn(
          place,
          source,
          (round < 0 ? undefined : samples.get(place.name)) ?? new Map<string, number[]>(),
        );
        if (failed !== undefined) throw new Error(`${place.name}: ${failed}`);
      }
    }
    for (const { name, what, unit, aims } of volumeSteps) {
      const disk = samples.get('disk')?.get(name) ?? [];
      const median = disk.toSorted((a, b) => a - b)[Math.floor(disk.length / 2)] ?? 0;
      yield { what: `host: ${what}, disk`, unit, samples: disk };
      const volume = samples.get('volume')?.get(name) ?? [];
      yield { what: `host: ${what}, volume`, unit, samples: volume, ...(aims && { aims: aims(median) }) };
    }
    for (const peer of places.peers) {
      if ('missing' in peer) {
        yield { what: `host: ${peer.name}`, skipped: peer.missing };
        continue;
      }
      const of: Samples = new Map();
      let failed: string | undefined;
      for (let round = 0; round < peerRounds && failed === undefined; round++) {
        lab.progress(`programs on ${peer.name}`);
        failed = await workOn(peer, source, of);
      }
      for (const { name, what, unit } of volumeSteps) {
        const found = of.get(name);
        if (found === undefined) yield { what: `host: ${what}, ${peer.name}`, skipped: failed ?? 'not reached' };
        else yield { what: `host: ${what}, ${peer.name}`, unit, samples: found };
      }
    }
  } finally {
    await removeTree(folder);
  }
}

/** All steps in a new folder of the place. Returns why one failed; the others are measured. */
async function workOn({ folder }: Place, source: string, samples: Samples): Promise<string | undefined> {
  const work = join(folder, 'work');
  let failed: string | undefined;
  for (const { name, amount } of volumeSteps) {
    try {
      await mkdir(work, { recursive: true });
      if (usesLarge.has(name)) await dropPages();
      const { stdout } = await run('python3', [program, work, name, source], {
        timeout: stepMs,
        killSignal: 'SIGKILL',
      });
      const seconds = Number(stdout);
      samples.set(name, [...(samples.get(name) ?? []), amount === undefined ? seconds * 1000 : amount / seconds]);
    } catch (error) {
      failed ??= `${name}: ${String(error).split('\n').slice(0, 2).join(' ').slice(0, 200)}`;
    }
  }
  return failed;
}

async function dropPages(): Promise<void> {
  await run('sync');
  await writeFile('/proc/sys/vm/drop_caches', '1');
}
