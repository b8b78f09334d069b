import type { Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

export const runTrue: Measurement = {
  name: 'run',
  async *run(lab) {
    const sandbox = await lab.create(lab.warm);
    await lab.settle(lab.warm, 1);
    const count = lab.rounds * 3;
    lab.progress(`commands.run("true"), ${count} times`);
    const samples: number[] = [];
    for (let round = -20; round < count; round++) {
      const elapsed = await timeMs(async () => await sandbox.commands.run('true'));
      if (round >= 0) samples.push(elapsed);
    }
    await sandbox.kill();
    yield* [{ what: 'commands.run("true"), warm sandbox', unit: 'ms', samples, aims: [{ at: 'p50', atMost: 3.5 }] }];
  },
};
