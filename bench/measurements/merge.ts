import { readFile, readdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { connectionTo } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { cpuSeconds, findSandboxProcesses, privateMb } from '../processes.ts';
import { fillMemory } from '../resident.ts';

const ksmSwitch = '/sys/kernel/mm/ksm/run';
const residentMb = 100;
const count = 10;
/** By default the kernel looks at 5,000 pages a second. It passes twice over all of these sandboxes in this time. */
const settleMs = 180_000;
const stepMs = 5000;
/** A fork of 110 MiB, and an idle sandbox. */
const aims = { fork: 20, idle: 9 };

/** Private memory of forks and of idle sandboxes whose equal pages the kernel keeps once (decision 083). */
export const merge: Measurement = {
  name: 'merge',
  async *run(lab) {
    // The server turns KSM on for the host, and never off.
    const before = await readFile(ksmSwitch, 'latin1');
    const server = await startServer({
      ...{ instance: lab.buildInstance, poolSize: 0 },
      environment: { SOULBOX_LOG_LEVEL: 'warn', SOULBOX_MERGE_MEMORY: 'true' },
    });
    try {
      yield* await measureForks(lab, server);
      yield* await measureIdle(lab, server);
    } finally {
      await server.stop();
      await writeFile(ksmSwitch, before.trim());
    }
  },
};

async function measureForks(lab: Lab, server: ServerProcess): Promise<Figure[]> {
  const connection = { ...connectionTo(server), timeoutMs: 600_000 };
  const source = await Sandbox.create('base', connection);
  await fillMemory(source, connection.sandboxUrl, residentMb);
  const copies = (await source.fork({ count, timeoutMs: 600_000 })).filter((result) => result instanceof Sandbox);
  const ids = copies.map(({ sandboxId }) => sandboxId);
  const atFirst = memoryOf(server, ids);
  const settled = await settle(lab, server, { ids, what: 'forks' });
  await Promise.all([source, ...copies].map(async (sandbox) => await sandbox.kill()));
  return [
    { what: 'merged: fork of 110 MiB, private memory at first', unit: 'MiB', samples: atFirst },
    {
      what: 'the same when the scan has seen it',
      unit: 'MiB',
      samples: settled.memory,
      aims: [{ at: 'p50', atMost: aims.fork }],
    },
    { what: `${count} forks, until half of them have at most ${aims.fork} MiB`, unit: 'ms', samples: settled.reached },
    { what: 'CPU time of ksmd meanwhile', unit: '% of a core', samples: [settled.cpuPercent] },
  ];
}

async function measureIdle(lab: Lab, server: ServerProcess): Promise<Figure[]> {
  const connection = { ...connectionTo(server), timeoutMs: 600_000 };
  const sandboxes = [];
  for (let index = 0; index < count; index++) sandboxes.push(await Sandbox.create('base', connection));
  const ids = sandboxes.map(({ sandboxId }) => sandboxId);
  const { memory } = await settle(lab, server, { ids, what: 'idle sandboxes' });
  await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
  const idleAims = [{ at: 'p50', atMost: aims.idle }] as const;
  return [{ what: 'merged: idle sandbox, private memory', unit: 'MiB', samples: memory, aims: idleAims }];
}

interface Settled {
  readonly memory: readonly number[];
  /** Milliseconds until half of them had reached the aim of a fork; empty: they have not. */
  readonly reached: readonly number[];
  readonly cpuPercent: number;
}

async function settle(
  lab: Lab,
  server: ServerProcess,
  { ids, what }: { readonly ids: readonly string[]; readonly what: string },
): Promise<Settled> {
  const scanner = await findScanner();
  const cpuBefore = cpuSeconds(scanner);
  const startedAt = performance.now();
  let reached: number[] = [];
  let memory: number[] = [];
  while (performance.now() - startedAt < settleMs) {
    await sleep(stepMs);
    memory = memoryOf(server, ids);
    const middle = memory.toSorted((a, b) => a - b)[Math.floor(memory.length / 2)] ?? Infinity;
    lab.progress(`merged memory of ${what}: ${middle.toFixed(1)} MiB each`);
    if (reached.length === 0 && middle <= aims.fork) reached = [performance.now() - startedAt];
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { memory, reached, cpuPercent: ((cpuSeconds(scanner) - cpuBefore) / seconds) * 100 };
}

function memoryOf(server: ServerProcess, ids: readonly string[]): number[] {
  const processes = findSandboxProcesses(server.instance);
  return ids.map((id) => (processes.get(id) ?? []).reduce((sum, pid) => sum + privateMb(pid), 0));
}

/** The number of the kernel's thread that merges. */
async function findScanner(): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/comm`, 'latin1').catch(() => '');
    if (command === 'ksmd\n') return Number(name);
  }
  throw new Error('this kernel has no thread that merges memory');
}
