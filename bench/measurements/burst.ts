import type { Measurement } from '../measurement.ts';

const count = 100;
const rounds = 3;

export const burst: Measurement = {
  name: 'burst',
  async *run(lab) {
    const whole: number[] = [];
    const single: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await lab.settle(lab.warm);
      lab.progress(`${count} creates at once, round ${round + 1} of ${rounds}`);
      const startedAt = performance.now();
      const sandboxes = await Promise.all(
        Array.from({ length: count }, async () => {
          const sandbox = await lab.create(lab.warm);
          single.push(performance.now() - startedAt);
          return sandbox;
        }),
      );
      whole.push(performance.now() - startedAt);
      await Promise.all(sandboxes.map(async (sandbox) => await sandbox.kill()));
    }
    yield* [
      {
        what: `${count} creates at once, until the last`,
        unit: 'ms',
        samples: whole,
        aims: [{ at: 'p50', atMost: 2500 }],
      },
      { what: `${count} creates at once, each`, unit: 'ms', samples: single },
    ];
  },
};
