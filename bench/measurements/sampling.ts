import { setTimeout as sleep } from 'node:timers/promises';
import { findServerPart } from '@soulbox/testing';
import type { Lab } from '../lab.ts';
import type { Measurement } from '../measurement.ts';
import { cpuSeconds } from '../processes.ts';

const count = 200;
const atOnce = 4;
const windowMs = 20_000;

/** Each second, the runner reads the counters of every sandbox. Idle ones leave it nothing else to do. */
export const sampling: Measurement = {
  name: 'sampling',
  async *run(lab) {
    await lab.settle(lab.warm);
    const without = await measureRunner(lab);
    const sandboxes: { kill(): Promise<unknown> }[] = [];
    await inParallel(async () => {
      sandboxes.push(await lab.create(lab.warm));
    });
    await lab.settle(lab.warm, count);
    lab.progress(`CPU of the runner with ${count} idle sandboxes over ${windowMs / 1000} s`);
    const all = await measureRunner(lab);
    await inParallel(async () => await sandboxes.pop()?.kill());
    yield* [
      {
        what: `reading the counters of ${count} sandboxes each second`,
        unit: '% of a core',
        samples: [all - without],
        aims: [{ at: 'p50', atMost: 3 }],
        note: `runner without them ${without.toFixed(2)}, with them ${all.toFixed(2)}`,
      },
    ];
  },
};

/** Percent of a core. */
async function measureRunner({ warm }: Lab): Promise<number> {
  const pid = findServerPart(warm.pid, 'runner');
  if (pid === undefined) throw new Error('the server has no runner');
  const [begin, before] = [performance.now(), cpuSeconds(pid)];
  await sleep(windowMs);
  return ((cpuSeconds(pid) - before) / (performance.now() - begin)) * 100_000;
}

async function inParallel(work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
