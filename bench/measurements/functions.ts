import type { Agent } from 'node:http';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { testTemplatesDirectory } from '@soulbox/testing';
import { startBareWorkerd } from '../engines/bare-workerd.ts';
import { ask, connections, deploy, keepingAgent, remove, source, targetAt } from '../function-client.ts';
import type { Target } from '../function-client.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const windowMs = 3000;
/** Each gives one sample. */
const windows = 3;

const aims = {
  alone: [{ at: 'p50', atMost: 0.8 }],
  rate: [{ at: 'p50', atLeast: 8000 }],
} as const;

export const functions: Measurement = {
  name: 'functions',
  async *run(lab) {
    const template = await openTemplateStore(testTemplatesDirectory, silentLogger).find('edge');
    if (template === undefined) {
      yield { what: 'edge functions', skipped: 'the template edge has not been made' };
      return;
    }
    const { warm } = lab;
    const target = targetAt(warm);
    // The first deployment fills the template's pool.
    await deploy(warm);
    await remove(warm);
    yield await measureDeploys(lab, target);
    const sandboxId = await deploy(warm);
    yield* await measureRequests(lab, target, 'function');
    await using bare = await startBareWorkerd(template.rootfs, source);
    yield* await measureRequests(lab, { port: bare.port, host: 'localhost' }, 'bare workerd');
    yield await measureWakes(lab, target, sandboxId);
    await remove(warm);
  },
};

async function measureDeploys(lab: Lab, target: Target): Promise<Figure> {
  const rounds = Math.ceil(lab.rounds / 5);
  lab.progress(`deploy of a new function to its first answer, ${rounds} times`);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    samples.push(
      await timeMs(async () => {
        await deploy(lab.warm);
        await ask(target);
      }),
    );
    await remove(lab.warm);
  }
  return { what: 'deploy of a Worker to its first answer', unit: 'ms', samples };
}

async function measureRequests(lab: Lab, target: Target, what: string): Promise<[Figure, Figure]> {
  const isOurs = what === 'function';
  lab.progress(`requests to a ${what}: one after the other, then ${connections} connections`);
  using agent = keepingAgent();
  const alone: number[] = [];
  const count = lab.rounds * 10;
  for (let round = -100; round < count; round++) {
    const elapsed = await timeMs(() => ask(target, agent));
    if (round >= 0) alone.push(elapsed);
  }
  const rates: number[] = [];
  for (let window = 0; window < windows; window++) rates.push(await rateOf(target, agent));
  const note = 'the client runs on the same cores';
  return [
    { what: `request to a ${what}, warm`, unit: 'ms', samples: alone, ...(isOurs && { aims: aims.alone }) },
    {
      what: `${connections} connections to a ${what}`,
      unit: 'requests/s',
      samples: rates,
      note,
      ...(isOurs && { aims: aims.rate }),
    },
  ];
}

async function measureWakes(lab: Lab, target: Target, sandboxId: string): Promise<Figure> {
  const rounds = Math.ceil(lab.rounds / 5);
  lab.progress(`wake of a sleeping function by a request, ${rounds} times`);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await lab.call(lab.warm, 'POST', `/sandboxes/${sandboxId}/pause`);
    samples.push(await timeMs(() => ask(target)));
  }
  return { what: 'request that wakes a sleeping function', unit: 'ms', samples };
}

async function rateOf(target: Target, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  let answers = 0;
  const ends = startedAt + windowMs;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < ends) {
        await ask(target, agent);
        answers += 1;
      }
    }),
  );
  return answers / ((performance.now() - startedAt) / 1000);
}
