import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'soulbox';
import { firstOutput } from '../first-output.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';

const warmUpRounds = 3;

/** The same program with the official client and with our SDK, in turns. */
export const sdk: Measurement = {
  name: 'sdk',
  async *run(lab) {
    const contestants = [
      { what: 'create → first output, official client', sample: async () => await firstOutput(lab, lab.warm) },
      { what: 'create → first output, SDK', sample: async () => await firstOutputOfSdk(lab, lab.warm) },
    ];
    const samples = contestants.map((): number[] => []);
    for (let round = -warmUpRounds; round < lab.rounds; round++) {
      if (round % 10 === 0) lab.progress(`sdk, round ${round} of ${lab.rounds}`);
      // Whoever is second meets what the first one has left to do.
      const turns = [...contestants.entries()];
      for (const [index, { sample }] of round % 2 === 0 ? turns : turns.reverse()) {
        const elapsed = await sample();
        if (round >= 0) samples[index]?.push(elapsed);
      }
    }
    yield* contestants.map(({ what }, index): Figure => ({ what, unit: 'ms', samples: samples[index] ?? [] }));
  },
};

async function firstOutputOfSdk(lab: Lab, server: ServerProcess): Promise<number> {
  const { E2B_API_URL: apiUrl, E2B_SANDBOX_URL: sandboxUrl, E2B_API_KEY: apiKey } = server.clientEnvironment;
  await lab.quiet(server);
  const startedAt = performance.now();
  await using sandbox = await Sandbox.create({ apiUrl, sandboxUrl, apiKey });
  let firstByteAt = Number.NaN;
  await sandbox.commands.run('echo ready', {
    onStdout: () => {
      if (Number.isNaN(firstByteAt)) firstByteAt = performance.now();
    },
  });
  return firstByteAt - startedAt;
}
