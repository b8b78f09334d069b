import { openEngines } from '../engines/open-engines.ts';
import { firstOutput } from '../first-output.ts';
import type { Figure, Measurement } from '../measurement.ts';

/** The first rounds are discarded: connections open, code is compiled, files are read into the page cache. */
const warmUpRounds = 3;

export const create: Measurement = {
  name: 'create',
  async *run(lab) {
    const cold = await lab.cold();
    const { engines, skipped } = await openEngines(lab);
    const contestants = [
      { what: 'create → first output, from the pool', sample: async () => await firstOutput(lab, lab.warm) },
      { what: 'create → first output, cold', sample: async () => await firstOutput(lab, cold) },
      ...engines.map((engine) => ({ what: engine.what, sample: async () => await engine.firstOutputMs() })),
    ];
    const samples = contestants.map((): number[] => []);
    for (let round = -warmUpRounds; round < lab.rounds; round++) {
      if (round % 10 === 0) lab.progress(`create, round ${round} of ${lab.rounds}`);
      for (const [index, contestant] of contestants.entries()) {
        const elapsed = await contestant.sample();
        if (round >= 0) samples[index]?.push(elapsed);
      }
    }
    yield* [
      ...contestants.map(({ what }, index): Figure => ({
        what,
        unit: 'ms',
        samples: samples[index] ?? [],
        aims: aims[index] ?? [],
      })),
      ...skipped,
    ];
  },
};

const aims = [
  [
    { at: 'p50', atMost: 10 },
    { at: 'p99', atMost: 25 },
  ],
  [{ at: 'p50', atMost: 50 }],
] as const;
