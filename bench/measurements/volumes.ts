import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { findServerPart } from '@soulbox/testing';
import { callApi, connectionTo } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';
import { coldRead } from './cold-read.ts';
import { comparePeers } from './volume-peers.ts';
import { volumeSteps } from './volume-steps.ts';

const places = { disk: '/home/user/work', volume: '/data/work' } as const;

/**
 * A volume in a sandbox beside the disk of the same sandbox, in turns; then one on the host beside other file systems, and
 * reads of one from an object store.
 */
export const volumes: Measurement = {
  name: 'volumes',
  async *run(lab) {
    const { warm } = lab;
    const name = `bench-${Date.now()}`;
    const { volumeID } = (await (await callApi(warm, 'POST', '/volumes', { name })).json()) as { volumeID: string };
    try {
      yield* createRounds(lab, name);
      const sandbox = await mounting(lab, name);
      try {
        yield* workRounds(lab, sandbox);
        yield await measureStall(lab, sandbox);
      } finally {
        await sandbox.kill();
      }
    } finally {
      await callApi(warm, 'DELETE', `/volumes/${volumeID}`);
    }
    yield* coldRead(lab);
    yield* comparePeers(lab);
  },
};

async function mounting({ warm }: Lab, name: string): Promise<Sandbox> {
  return await Sandbox.create('base', { ...connectionTo(warm), timeoutMs: 3_600_000, volumeMounts: { '/data': name } });
}

async function* createRounds(lab: Lab, name: string): AsyncGenerator<Figure> {
  const samples = { plain: [] as number[], mounted: [] as number[] };
  lab.progress(`creates with and without a volume, ${lab.rounds} rounds`);
  for (let round = -3; round < lab.rounds; round++)
    for (const who of ['plain', 'mounted'] as const) {
      await lab.settle(lab.warm);
      let sandbox: Sandbox | undefined;
      const create = async (): Promise<void> => {
        sandbox = who === 'plain' ? await lab.create(lab.warm) : await mounting(lab, name);
      };
      const elapsed = await timeMs(create);
      if (round >= 0) samples[who].push(elapsed);
      await sandbox?.kill();
    }
  yield { what: 'create from the pool, without a volume', unit: 'ms', samples: samples.plain };
  yield { what: 'create from the pool, with a volume', unit: 'ms', samples: samples.mounted };
}

async function* workRounds(lab: Lab, sandbox: Sandbox): AsyncGenerator<Figure> {
  const rounds = Math.max(3, Math.round(lab.rounds / 10));
  await sandbox.files.write('/tmp/work.py', await readFile(join(import.meta.dirname, '../volume-work.py'), 'utf8'));
  const run = async (place: string, step: string): Promise<number> =>
    Number((await sandbox.commands.run(`python3 /tmp/work.py ${place} ${step}`, { timeoutMs: 600_000 })).stdout);
  await run('/tmp', 'prepare');
  const samples = new Map(volumeSteps.map(({ name }) => [name, { disk: [] as number[], volume: [] as number[] }]));
  for (let round = -1; round < rounds; round++) {
    lab.progress(`programs on a volume, round ${round} of ${rounds}`);
    for (const where of ['disk', 'volume'] as const) {
      await sandbox.commands.run(`mkdir -p ${places[where]}`);
      for (const { name, amount } of volumeSteps) {
        const seconds = await run(places[where], name);
        if (round >= 0) samples.get(name)?.[where].push(amount === undefined ? seconds * 1000 : amount / seconds);
      }
    }
  }
  for (const { name, what, unit, aims } of volumeSteps) {
    const { disk = [], volume = [] } = samples.get(name) ?? {};
    const median = disk.toSorted((a, b) => a - b)[Math.floor(disk.length / 2)] ?? 0;
    yield { what: `${what}, disk of the sandbox`, unit, samples: disk };
    yield { what: `${what}, volume`, unit, samples: volume, ...(aims === undefined ? {} : { aims: aims(median) }) };
  }
}

/** Few: the supervisor makes a part wait that ends often. */
const kills = 5;

/** What a program that writes all the time sees of a kill of the service. */
const writer = `
import os, time
log = os.open('/data/log', os.O_CREAT | os.O_APPEND | os.O_WRONLY)
longest, last = 0, time.time()
end = last + 3
while time.time() < end:
    os.write(log, b'x' * 64)
    now = time.time()
    longest, last = max(longest, now - last), now
print(longest)
`;

async function measureStall(lab: Lab, sandbox: Sandbox): Promise<Figure> {
  await sandbox.files.write('/tmp/writer.py', writer);
  const samples: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    lab.progress(`kill ${kill + 1} of ${kills} of the volume service`);
    const writing = sandbox.commands.run('python3 /tmp/writer.py', { timeoutMs: 60_000 });
    // The next process is loaded by then.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const pid = findServerPart(lab.warm.pid, 'volumes');
    if (pid === undefined) throw new Error('The volume service does not run.');
    process.kill(pid, 'SIGKILL');
    samples.push(Number((await writing).stdout) * 1000);
  }
  return {
    what: 'longest call over a kill of the volume service',
    unit: 'ms',
    samples,
    aims: [{ at: 'p50', atMost: 150 }],
  };
}
