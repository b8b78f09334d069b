import { setTimeout as sleep } from 'node:timers/promises';

import type { Measurement } from '../measurement.ts';
import { cpuSeconds, findSandboxProcesses } from '../processes.ts';
import { listServerParts } from '@soulbox/testing';

const count = 50;
const windowMs = 20_000;
/** envd's runtime checks its heap once a second until it has not changed for 30 s, then twice a minute. */
const restMs = 45_000;

export const idleCpu: Measurement = {
  name: 'idle',
  async *run(lab) {
    await lab.settle(lab.warm);
    const sandboxes = [];
    for (let index = 0; index < count; index++) sandboxes.push(await lab.create(lab.warm));
    await lab.settle(lab.warm, count);
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
    await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));

    const percent = (seconds: number): number => (seconds / elapsedSeconds) * 100;
    const server = percent(after.server - before.server);
    const inside = percent(after.inside - before.inside);
    yield* [
      {
        what: `${count} idle sandboxes and the server`,
        unit: '% of a core',
        samples: [server + inside],
        aims: [{ at: 'p50', atMost: 2 }],
        note: `server ${server.toFixed(2)}, inside the sandboxes ${inside.toFixed(2)}`,
      },
    ];
  },
};
