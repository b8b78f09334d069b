import { setTimeout as sleep } from 'node:timers/promises';
import { listServerParts } from '@soulbox/testing';
import { firstOutput } from '../first-output.ts';
import { callApi } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { cpuSeconds, findSandboxProcesses } from '../processes.ts';
import { timeMs } from '../time.ts';

const windowMs = 20_000;
/** envd's runtime checks its heap once a second until it has not changed for 30 s, then twice a minute. */
const restMs = 45_000;
/** Percent of a core. */
const cpuAims = { 50: 2, 500: 5 } as const;
const manyRounds = 20;
const createRestMs = 1000;

/** CPU of the server and 50 idle sandboxes. */
export const idleCpu: Measurement = {
  name: 'idle',
  async *run(lab) {
    await using _sandboxes = await createIdle(lab, 50);
    yield await measureCpu(lab, 50);
  },
};

/** The same with 500, and what a list and a create take beside them. */
export const many: Measurement = {
  name: 'many',
  async *run(lab) {
    await using _sandboxes = await createIdle(lab, 500);
    yield await measureCpu(lab, 500);
    const [lists, creates]: [number[], number[]] = [[], []];
    lab.progress('lists and creates beside them');
    for (let round = -2; round < manyRounds; round++) {
      const list = await timeMs(async () => await (await callApi(lab.warm, 'GET', '/v2/sandboxes?limit=100')).text());
      const create = await firstOutput(lab, lab.warm);
      await sleep(createRestMs);
      if (round < 0) continue;
      lists.push(list);
      creates.push(create);
    }
    const beside = 'beside 500 idle sandboxes';
    yield* [
      { what: `list of 100 ${beside}`, unit: 'ms', samples: lists, aims: [{ at: 'p50', atMost: 20 }] },
      { what: `create → first output, ${beside}`, unit: 'ms', samples: creates, aims: [{ at: 'p50', atMost: 15 }] },
    ];
  },
};

async function createIdle(lab: Lab, count: keyof typeof cpuAims): Promise<AsyncDisposable> {
  await lab.settle(lab.warm);
  lab.progress(`${count} creates`);
  const sandboxes: Awaited<ReturnType<Lab['create']>>[] = [];
  for (let index = 0; index < count; index++) sandboxes.push(await lab.create(lab.warm));
  await lab.settle(lab.warm, count);
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
    },
  };
}

async function measureCpu(lab: Lab, count: keyof typeof cpuAims): Promise<Figure> {
  await sleep(restMs);
  lab.progress(`CPU of ${count} idle sandboxes over ${windowMs / 1000} s`);
  // The spares of the pool are idle sandboxes too; counting them makes the figure a little worse.
  const read = (): { server: number; inside: number } => {
    const pids = [...findSandboxProcesses(lab.warm.instance).values()].flat();
    const server = listServerParts(lab.warm.pid).reduce((sum, part) => sum + cpuSeconds(part.pid), 0);
    return { server, inside: pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) };
  };
  const before = read();
  const startedAt = performance.now();
  await sleep(windowMs);
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  const after = read();
  const percent = (seconds: number): number => (seconds / elapsedSeconds) * 100;
  const server = percent(after.server - before.server);
  const inside = percent(after.inside - before.inside);
  return {
    what: `${count} idle sandboxes and the server`,
    unit: '% of a core',
    samples: [server + inside],
    aims: [{ at: 'p50', atMost: cpuAims[count] }],
    note: `server ${server.toFixed(2)}, inside the sandboxes ${inside.toFixed(2)}`,
  };
}
