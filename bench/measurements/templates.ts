import { randomUUID } from 'node:crypto';
import { Sandbox as CodeSandbox } from '@e2b/code-interpreter';
import { Sandbox, Template, waitForPort } from 'e2b';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { firstOutput } from '../first-output.ts';
import { connectionTo } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement, Skipped } from '../measurement.ts';
import { timeMs } from '../time.ts';

const burstCount = 20;
const burstRounds = 5;
const warmUpRounds = 3;
const codeTemplate = 'code-interpreter-v1';

/** The most common use: sandboxes of a template that a team has built, alternating with those of `base`. */
export const templates: Measurement = {
  name: 'templates',
  async *run(lab) {
    const cold = await lab.cold();
    lab.progress('templates, building one with a server in it on both servers');
    const [warmName, coldName] = [await buildOn(lab.warm), await buildOn(cold)];
    const contestants: Contestant[] = [
      { what: 'base, from a spare', sample: async () => await firstOutput(lab, lab.warm, 'base') },
      {
        what: 'a built template, from a spare',
        sample: async () => await firstOutput(lab, lab.warm, warmName),
        aim: 12,
      },
      {
        what: 'a built template, without a spare',
        sample: async () => await firstOutput(lab, cold, coldName),
        aim: 100,
      },
    ];
    yield* await takeTurns(lab, contestants, lab.rounds);
    yield await measureBurst(lab, warmName);
    yield* await measureCode(lab);
  },
};

interface Contestant {
  readonly what: string;
  readonly sample: () => Promise<number>;
  readonly aim?: number;
}

async function takeTurns(lab: Lab, contestants: readonly Contestant[], rounds: number): Promise<Figure[]> {
  const samples = contestants.map((): number[] => []);
  for (let round = -warmUpRounds; round < rounds; round++) {
    if (round % 10 === 0) lab.progress(`templates, round ${round} of ${rounds}`);
    for (const [index, contestant] of contestants.entries()) {
      const elapsed = await contestant.sample();
      if (round >= 0) samples[index]?.push(elapsed);
    }
  }
  return contestants.map(({ what, aim }, index): Figure => ({
    what: `create → first output, ${what}`,
    unit: 'ms',
    samples: samples[index] ?? [],
    ...(aim === undefined ? {} : { aims: [{ at: 'p50', atMost: aim }] }),
  }));
}

async function buildOn(server: ServerProcess): Promise<string> {
  const name = `bench-${randomUUID().slice(0, 8)}`;
  const template = Template()
    .fromBaseImage()
    .runCmd('echo built >/home/user/built')
    .setStartCmd('python3 -m http.server 8000', waitForPort(8000));
  await Template.build(template, name, { ...connectionTo(server), cpuCount: 1, memoryMB: 512 });
  return name;
}

async function measureBurst(lab: Lab, template: string): Promise<Figure> {
  const samples: number[] = [];
  for (let round = 0; round < burstRounds; round++) {
    await lab.quiet(lab.warm);
    lab.progress(`${burstCount} creates of a built template at once, round ${round + 1} of ${burstRounds}`);
    let made: Sandbox[] = [];
    samples.push(
      await timeMs(async () => {
        made = await Promise.all(Array.from({ length: burstCount }, () => lab.create(lab.warm, template)));
      }),
    );
    await Promise.all(made.map(async (sandbox) => await sandbox.kill()));
  }
  return {
    what: `${burstCount} creates of a built template at once, until the last`,
    unit: 'ms',
    samples,
    aims: [{ at: 'p50', atMost: 2000 }],
  };
}

async function measureCode(lab: Lab): Promise<(Figure | Skipped)[]> {
  const what = `${codeTemplate}, create → answer of the first runCode`;
  if ((await openTemplateStore(testTemplatesDirectory, silentLogger).find(codeTemplate)) === undefined)
    return [{ what, skipped: `soulbox template make ${codeTemplate} --data-dir ${testDirectory}` }];
  const options = { timeoutMs: 600_000, ...connectionTo(lab.warm) };
  const [whole, first]: [number[], number[]] = [[], []];
  for (let round = -warmUpRounds; round < Math.max(5, Math.floor(lab.rounds / 5)); round++) {
    await lab.quiet(lab.warm);
    lab.progress(`${codeTemplate}, round ${round}`);
    const startedAt = performance.now();
    const sandbox = await CodeSandbox.create(codeTemplate, options);
    const createdAt = performance.now();
    const { text } = await sandbox.runCode('1+1');
    const answeredAt = performance.now();
    if (text !== '2') throw new Error(`1+1 gave ${String(text)}`);
    await sandbox.kill();
    if (round < 0) continue;
    whole.push(answeredAt - startedAt);
    first.push(answeredAt - createdAt);
  }
  return [
    { what, unit: 'ms', samples: whole },
    {
      what: `${codeTemplate}, the first runCode alone`,
      unit: 'ms',
      samples: first,
      aims: [{ at: 'p50', atMost: 120 }],
    },
  ];
}
