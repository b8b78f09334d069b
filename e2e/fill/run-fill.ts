import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createDrivers } from '@soulbox/box/drivers';
import type { Isolation } from '@soulbox/contract';
import { startServer, testDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { until } from '../harness/until.ts';
import type { HostDisk } from './host-disk.ts';
import { makeHostDisk } from './host-disk.ts';
import { startWriters, stopWriting, verify } from './writers.ts';
import type { Verdict, Writer } from './writers.ts';

export interface FillOptions {
  readonly instance: number;
  readonly isolation: Isolation;
  readonly sandboxes: number;
  /** Size of the disk of the host. */
  readonly hostMb: number;
  /** How long sandboxes continue to write to a full disk, and how long each other part lasts. */
  readonly partMs: number;
  /**
   * `server`: it is killed, and restarted after a part. `foreign`: a process of the host fills the rest of the disk.
   */
  readonly attacks: readonly ('server' | 'foreign')[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly onProgress?: (text: string) => void;
}

export interface FillReport {
  /** Blocks that the kernel had accepted and returned when they were read back. */
  readonly good: number;
  readonly bad: number;
  /** Writes that failed at once in the sandbox. */
  readonly refused: number;
  /** Descriptions of faults: lost blocks, and disks that e2fsck reports as not clean. */
  readonly violations: readonly string[];
  /** The smallest free space in bytes while only sandboxes wrote. */
  readonly leastFreeBytes: number;
  readonly sandboxes: number;
}

const settleMs = 60_000;
const fillTimeoutMs = 300_000;

/** Fills the disk of a host with sandboxes that write, and checks that no accepted write is lost. */
export async function runFill(options: FillOptions): Promise<FillReport> {
  const say = options.onProgress ?? ((): void => undefined);
  const folder = join(testDirectory, `fill-${options.instance}`);
  await using disk = await makeHostDisk(folder, options.hostMb);
  const server = await startServer({
    instance: options.instance,
    dataDirectory: join(disk.path, 'data'),
    poolSize: 0,
    environment: { SOULBOX_ISOLATION: options.isolation, ...options.environment },
  });
  Object.assign(process.env, server.clientEnvironment);
  await using _sandboxes = endOfAll(options, server);
  const writers = await startWriters(options.sandboxes);
  say(`${writers.length} sandboxes write, ${mib(await disk.freeBytes())} MiB are free`);
  const leastFreeBytes = await watchFree(disk, options.partMs);
  say(`${mib(leastFreeBytes)} MiB are left`);
  for (const attack of options.attacks) {
    if (attack === 'server') await killServer(server, options.partMs);
    else await fillFromOutside(disk, options.partMs);
    say(`after the attack by ${attack}: ${mib(await disk.freeBytes())} MiB are free`);
  }
  await disk.releaseCushion();
  const verdicts = await verifyAll(writers);
  const dirty = await checkDisks(options, server);
  return {
    good: sum(verdicts, ({ good }) => good),
    bad: sum(verdicts, ({ bad }) => bad),
    refused: sum(verdicts, ({ refused }) => refused),
    violations: [...verdicts.flatMap(({ faults }) => faults), ...dirty],
    leastFreeBytes,
    sandboxes: writers.length,
  };
}

/** Waits until the sandboxes get no more space, and then one part longer. */
async function watchFree(disk: HostDisk, partMs: number): Promise<number> {
  const giveUpAt = Date.now() + fillTimeoutMs;
  let [least, leastAt] = [Infinity, Date.now()];
  while (Date.now() < leastAt + partMs) {
    await sleep(50);
    const free = await disk.freeBytes();
    if (free < least - 2 ** 20) leastAt = Date.now();
    least = Math.min(least, free);
    if (Date.now() > giveUpAt) throw new Error('the disk of the host is not full yet');
  }
  return least;
}

async function killServer(server: ServerProcess, partMs: number): Promise<void> {
  await server.kill9();
  await sleep(partMs);
  await server.restart();
  await sleep(partMs);
}

/** Fills the disk like a foreign program: until nothing is left. Then keeps the space for a while. */
async function fillFromOutside(disk: HostDisk, partMs: number): Promise<void> {
  const path = join(disk.path, 'foreign');
  const filler = spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=1M'], { stdio: 'ignore' });
  await once(filler, 'exit');
  await sleep(partMs);
  await rm(path);
  await sleep(partMs);
}

async function verifyAll(writers: readonly Writer[]): Promise<Verdict[]> {
  // A sandbox that was stopped because of the full disk must continue first.
  const stopped = await Promise.allSettled(
    writers.map(async (writer) => await within(stopWriting(writer), 'it stops')),
  );
  await run('sync', []);
  await writeFile('/proc/sys/vm/drop_caches', '3');
  return await Promise.all(
    writers.map(async (writer, index) => {
      try {
        const outcome = stopped[index];
        if (outcome?.status === 'rejected') throw outcome.reason;
        return await within(verify(writer), 'it reads');
      } catch (error) {
        // Whatever the error: this sandbox does not return its blocks.
        return {
          ...{ good: 0, bad: 1, refused: 0 },
          faults: [`${writer.sandboxId} (${writer.mode}): ${String(error)}`],
        };
      }
    }),
  );
}

async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${settleMs / 1000} s`)), settleMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends all processes, keeps the disks, and checks each of them. */
async function checkDisks(options: FillOptions, server: ServerProcess): Promise<string[]> {
  await server.stop({ keepSandboxes: true });
  const driver = (await createDrivers(options.instance, silentLogger)).get(options.isolation);
  const found: string[] = [];
  for (const sandboxId of await listSandboxes(server)) {
    const directory = join(server.dataDirectory, 'sandboxes', sandboxId);
    await driver?.suspend(sandboxId, directory);
    try {
      await run('e2fsck', ['-fn', driver?.diskPath(sandboxId, directory) ?? '']);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      found.push(`the disk of ${sandboxId} is not clean: ${error.message.slice(0, 500)}`);
    }
  }
  return found;
}

async function listSandboxes(server: ServerProcess): Promise<string[]> {
  const entries = await readdir(join(server.dataDirectory, 'sandboxes'), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Whatever the result: removes everything of the server from the host, so that the disk can be unmounted. */
function endOfAll({ instance, isolation }: FillOptions, server: ServerProcess): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await server.kill9().catch(() => undefined);
      const driver = (await createDrivers(instance, silentLogger)).get(isolation);
      const ids = await listSandboxes(server);
      for (const id of ids) await driver?.destroy(id, join(server.dataDirectory, 'sandboxes', id));
      await until('nothing uses the disk', async () => {
        const traces = new Set(await driver?.listTraces());
        return ids.every((id) => !traces.has(id));
      });
    },
  };
}

function sum<T>(things: readonly T[], count: (thing: T) => number): number {
  return things.reduce((total, thing) => total + count(thing), 0);
}

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
