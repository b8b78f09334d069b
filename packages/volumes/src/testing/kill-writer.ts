import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkVolume } from '../check/check-volume.ts';
import { typeOf } from '../metadata/inode.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import type { Volume } from '../volume/open.ts';
import { applyOperation, nextOperation } from './killed-operations.ts';
import type { Files, KilledOperation } from './killed-operations.ts';
import { createRandom } from './random.ts';

export interface KillOptions {
  readonly data: string;
  readonly rounds: number;
  /** Of the program before it is killed, once it works. */
  readonly lifeMsMax: number;
  readonly random: () => number;
  /** Where the program finds itself compiled. */
  readonly compileCache: string;
  readonly onRound?: (round: number) => void;
}

export interface KillReport {
  readonly answered: number;
  readonly violations: readonly string[];
}

const workers = 3;
const program = join(import.meta.dirname, 'killed-writer.ts');
const id = 'killed';

/** Kills a program that changes a volume, again and again, and compares what is left with what was answered. */
export async function killWriter(options: KillOptions): Promise<KillReport> {
  const { data, rounds, lifeMsMax, random, onRound } = options;
  createVolume(data, { id, quota: { bytes: undefined, inodes: undefined }, root: { uid: 0, gid: 0, mode: 0o755 } });
  const violations: string[] = [];
  let answered = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const counts = await killOnce(options, round, random() * lifeMsMax);
    answered += counts.reduce((sum, count) => sum + count, 0);
    const volume = await openVolume(data, id);
    try {
      for (const [worker, count] of counts.entries())
        violations.push(...(await compare(volume, round, worker, count)).map((text) => `round ${round}: ${text}`));
    } finally {
      await volume[Symbol.asyncDispose]();
    }
    onRound?.(round);
  }
  const volume = await openVolume(data, id);
  const { faults } = await checkVolume(volume);
  violations.push(...faults.map(({ ino, index, fault }) => `block ${index} of ${ino} is ${fault}`));
  violations.push(...(await miscounted(volume)));
  await volume[Symbol.asyncDispose]();
  return { answered, violations };
}

/** Returns how many operations of each worker were answered. */
async function killOnce({ data, compileCache }: KillOptions, round: number, lifeMs: number): Promise<number[]> {
  const arguments_ = ['--conditions=soulbox-source', program, data, id, String(round), String(workers)];
  const child = spawn(process.execPath, arguments_, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { NODE_COMPILE_CACHE: compileCache },
  });
  let output = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  await sleep(lifeMs);
  child.kill('SIGKILL');
  await ended;
  const counts = Array.from({ length: workers }, () => 0);
  for (const line of output.split('\n').slice(0, -1)) counts[Number(line)] = (counts[Number(line)] ?? 0) + 1;
  return counts;
}

/** The state after the answered operations is there, or that after the next one, which was not answered. */
async function compare(volume: Volume, round: number, worker: number, count: number): Promise<string[]> {
  const random = createRandom(round * 1000 + worker);
  const files: Files = new Map();
  for (let done = 0; done < count; done += 1) applyOperation(files, nextOperation(files, random));
  const before = new Map(files);
  const next = nextOperation(files, random);
  applyOperation(files, next);
  const found = await filesOf(volume, `${round}-${worker}`);
  if (found === undefined) return count === 0 ? [] : [`the folder of worker ${worker} is missing`];
  if (isSame(found, before) || isSame(found, files) || isTorn(found, before, next)) return [];
  const sizes = (some: Files): string => [...some].map(([name, { length }]) => `${name}:${length}`).join(' ');
  return [
    `worker ${worker} after ${count} operations has ${sizes(found)}, not ${sizes(before)}, nor after ${JSON.stringify(next)} ${sizes(files)}`,
  ];
}

async function filesOf(volume: Volume, folder: string): Promise<Files | undefined> {
  const inode = await volume.metadata.lookup(1, Buffer.from(folder));
  if (inode === undefined) return undefined;
  const files: Files = new Map();
  for (const { name, inode: file } of await volume.metadata.list(inode.ino, 0, 100))
    files.set(Buffer.from(name).toString(), await volume.read(file.ino, 0, file.size));
  return files;
}

function isSame(one: Files, other: Files): boolean {
  return one.size === other.size && [...one].every(([name, content]) => other.get(name)?.equals(content) === true);
}

/** A write that was not answered may have changed a part of the bytes that it was to overwrite. */
function isTorn(found: Files, before: Files, next: KilledOperation): boolean {
  if (next.kind !== 'write') return false;
  const [content, old] = [found.get(next.name), before.get(next.name)];
  if (content?.length !== old?.length || content === undefined || old === undefined) return false;
  const mended = Buffer.from(content);
  const [start, end] = [next.offset, Math.min(content.length, next.offset + next.length)];
  for (let position = start; position < end; position += 1)
    if (mended[position] === next.byte) mended[position] = old[position] ?? 0;
  return isSame(new Map([...found, [next.name, mended]]), before);
}

/** What the volume says that it uses must be what it uses. */
async function miscounted({ metadata }: Volume): Promise<string[]> {
  const used = { bytes: 0, inodes: 1 };
  const counted = new Set<number>();
  const folders = [1];
  const faults: string[] = [];
  for (const folder of folders)
    for (const { inode } of await metadata.list(folder, 0, Number.MAX_SAFE_INTEGER)) {
      used.inodes += 1;
      if (typeOf(inode.mode) === 0o040000) folders.push(inode.ino);
      if (!counted.has(inode.ino)) used.bytes += inode.allocated;
      counted.add(inode.ino);
    }
  for (const ino of await metadata.listOrphans(0, Number.MAX_SAFE_INTEGER)) {
    used.inodes += 1;
    used.bytes += (await metadata.find(ino))?.allocated ?? 0;
    counted.add(ino);
  }
  let blockBytes = 0;
  for (const { ino, length } of await metadata.listBlocks({ ino: 0, index: 0 }, Number.MAX_SAFE_INTEGER)) {
    blockBytes += length;
    if (!counted.has(ino)) faults.push(`file ${ino} has blocks and is not there`);
  }
  const { usage } = metadata.facts();
  if (usage.bytes !== used.bytes || used.bytes !== blockBytes || usage.inodes !== used.inodes)
    faults.push(`usage is ${JSON.stringify(usage)}, counted ${JSON.stringify(used)}, blocks ${blockBytes}`);
  return faults;
}
