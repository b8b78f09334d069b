import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { testDirectory } from '@soulbox/testing';
import type { Lab } from '../lab.ts';
import type { Figure, Skipped } from '../measurement.ts';
import { openPlaces } from '../peers/open-places.ts';
import type { Place } from '../peers/place.ts';
import { percentile } from '../statistics.ts';
import { volumeSteps } from './volume-steps.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../volume-work.py');
/** Peers take minutes for all of it: they do a tenth. */
const peerPart = 10;
const peerRounds = 3;
/** A step that takes longer has failed. */
const stepMs = 180_000;

/** Steps that use a file which the host may have in memory: for a volume, what lies below it. */
const usesLarge: ReadonlySet<string> = new Set(['read', 'random-read', 'random-write']);

type Samples = Map<string, number[]>;

/**
 * A volume beside other file systems on one disk of the host, in turns, without sandboxes: the disk itself (ext4), and
 * programs that show a bucket as a folder.
 */
export async function* comparePeers(lab: Lab): AsyncGenerator<Figure | Skipped> {
  const folder = await mkdtemp(join(testDirectory, 'bench-peers-'));
  const [whole, tenth] = [join(folder, 'whole'), join(folder, 'tenth')];
  try {
    await using places = await openPlaces(folder);
    await work(folder, 'prepare', whole, 1);
    await work(folder, 'prepare', tenth, peerPart);
    const samples = new Map([places.disk, places.volume].map((place): [Place, Samples] => [place, newSamples()]));
    const rounds = Math.max(3, Math.round(lab.rounds / 10));
    for (let round = -1; round < rounds; round++) {
      lab.progress(`programs on a volume of the host, round ${round} of ${rounds}`);
      for (const [place, of] of samples) {
        const failed = await workOn(place, { source: whole, part: 1 }, round < 0 ? newSamples() : of);
        if (failed !== undefined) throw new Error(`${place.name}: ${failed}`);
      }
    }
    const [disk, volume] = [samples.get(places.disk), samples.get(places.volume)];
    for (const { name, what, unit, aims } of volumeSteps) {
      const onDisk = disk?.get(name) ?? [];
      yield { what: `host: ${what}, disk`, unit, samples: onDisk };
      const aim = aims?.(percentile(onDisk, 0.5));
      yield { what: `host: ${what}, volume`, unit, samples: volume?.get(name) ?? [], ...(aim && { aims: aim }) };
    }
    for (const peer of places.peers) {
      if ('missing' in peer) yield { what: `host: ${peer.name}`, skipped: peer.missing };
      else yield* measurePeer(lab, peer, tenth);
    }
  } finally {
    await removeTree(folder);
  }
}

async function* measurePeer(lab: Lab, peer: Place, source: string): AsyncGenerator<Figure | Skipped> {
  const samples = newSamples();
  let failed: string | undefined;
  for (let round = 0; round < peerRounds && failed === undefined; round++) {
    lab.progress(`programs on ${peer.name}, round ${round} of ${peerRounds}`);
    failed = await workOn(peer, { source, part: peerPart }, samples);
  }
  const note = 'of everything a tenth';
  for (const { name, what, unit } of volumeSteps) {
    const found = samples.get(name);
    const title = `host: ${what}, ${peer.name}${unit === 'ms' ? ', a tenth' : ''}`;
    if (found === undefined) yield { what: title, skipped: failed ?? 'not reached' };
    else yield { what: title, unit, samples: found, note };
  }
}

/** All steps in a new folder of the place. Returns why one failed, which ends the round. */
async function workOn(
  { folder }: Place,
  { source, part }: { readonly source: string; readonly part: number },
  samples: Samples,
): Promise<string | undefined> {
  const at = join(folder, 'work');
  for (const { name, amount } of volumeSteps)
    try {
      await mkdir(at, { recursive: true });
      if (usesLarge.has(name)) await dropPages();
      const seconds = await work(at, name, source, part);
      const sample = amount === undefined ? seconds * 1000 : amount / part / seconds;
      samples.set(name, [...(samples.get(name) ?? []), sample]);
    } catch (error) {
      return `${name}: ${String(error).split('\n').slice(0, 2).join(' ').slice(0, 200)}`;
    }
  return undefined;
}

/** Returns the seconds. With the programs that it starts, it is a group of processes, which ends as a whole. */
async function work(folder: string, step: string, source: string, part: number): Promise<number> {
  const child = spawn('python3', [program, folder, step, source, String(part)], {
    ...{ detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  let [output, complaint] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = `${complaint}${text}`.slice(-200)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  // A call that hangs in a file system does not end with its program, so nobody waits for that.
  const late = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    reject(new Error(`It took more than ${stepMs / 1000} s.`));
  }, stepMs);
  try {
    if ((await promise) !== 0) throw new Error(complaint.trim());
  } finally {
    clearTimeout(late);
  }
  return Number(output);
}

const newSamples = (): Samples => new Map<string, number[]>();

async function dropPages(): Promise<void> {
  await run('sync');
  await writeFile('/proc/sys/vm/drop_caches', '1');
}
