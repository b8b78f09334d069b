import { setTimeout as sleep } from 'node:timers/promises';

import type { Measurement } from '../measurement.ts';
import { findSandboxProcesses, privateMb } from '../processes.ts';
import { listServerParts } from '@soulbox/testing';

const count = 50;
/** Time until the memory used only for the start is released. */
const restMs = 5000;

/** Of all its processes. */
const serverMb = (pid: number): number => listServerParts(pid).reduce((sum, part) => sum + privateMb(part.pid), 0);

export const memory: Measurement = {
  name: 'memory',
  async *run(lab) {
    await lab.settle(lab.warm);
    await sleep(restMs);
    const before = serverMb(lab.warm.pid);
    lab.progress(`memory of ${count} idle sandboxes`);
    const sandboxes = [];
    for (let index = 0; index < count; index++) sandboxes.push(await lab.create(lab.warm));
    await lab.settle(lab.warm, count);
    await sleep(restMs);

    const processes = findSandboxProcesses(lab.warm.instance);
    const perSandbox = sandboxes.map(({ sandboxId }) =>
      (processes.get(sandboxId) ?? []).reduce((sum, pid) => sum + privateMb(pid), 0),
    );
    const server = (serverMb(lab.warm.pid) - before) / count;
    await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
    yield* [
      { what: 'idle sandbox, private memory', unit: 'MiB', samples: perSandbox, aims: [{ at: 'p50', atMost: 9 }] },
      {
        what: 'server, private memory per sandbox',
        unit: 'MiB',
        samples: [server],
        note: `growth over ${count} sandboxes`,
      },
      {
        what: 'server, private memory with no sandbox',
        unit: 'MiB',
        samples: [before],
        aims: [{ at: 'p50', atMost: 120 }],
      },
    ];
  },
};
