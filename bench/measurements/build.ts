import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId, removeTree, silentLogger } from '@soulbox/base';
import { openTemplateStore } from '@soulbox/templates';
import { startRunnerProcess, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { Measurement } from '../measurement.ts';

const rounds = 10;
const step = (type: string, ...args: string[]) => ({ type, args });

/** Ten steps of which seven change the disk. `round` makes them differ from those of another round, from the first on. */
function stepsOf(round: number): readonly { type: string; args: string[] }[] {
  return [
    step('RUN', `echo ${round} >/tmp/round`),
    step('ENV', 'MODE', 'bench', 'PATH', '/opt/bin:$PATH'),
    step('WORKDIR', '/srv/app'),
    step('RUN', "printf 'print(6*7)' >app.py && python3 app.py >answer", 'root'),
    step('USER', 'root'),
    step('RUN', 'mkdir -p /opt/bin && ln -s /bin/true /opt/bin/yes'),
    step('RUN', 'head -c 20000000 /dev/urandom >/opt/data'),
    step('RUN', 'ls -R /usr/lib >/opt/list'),
    step('RUN', 'useradd -m worker'),
    step('USER', 'user'),
  ];
}

/** Of the runner alone: what the control plane adds is two requests and a poll every 200 ms. */
export const build: Measurement = {
  name: 'build',
  async run(lab) {
    const directory = await mkdtemp(join(testDirectory, 'bench-build-'));
    const environment = { SOULBOX_ISOLATION: lab.isolation };
    const runner = await startRunnerProcess(lab.buildInstance, directory, { environment });
    lab.use({
      async [Symbol.asyncDispose]() {
        await runner.stop();
        await removeTree(directory);
      },
    });
    const base = await openTemplateStore(testTemplatesDirectory, silentLogger).find('base');
    const time = async (round: number): Promise<number> => {
      const own = { buildId: randomId(20), teamId: 't', templateId: 'bench', cpuCount: 2, memoryMb: 1024 };
      const startedAt = performance.now();
      const request = { ...own, baseTemplateId: base?.templateId, steps: stepsOf(round) };
      const { events } = await runner.call('runBuild', request);
      const took = performance.now() - startedAt;
      const last = (events as { failed?: unknown }[]).at(-1);
      if (last === undefined || 'failed' in last) throw new Error(`build failed: ${JSON.stringify(last)}`);
      return took;
    };
    const cold: number[] = [];
    const cached: number[] = [];
    for (let round = 0; round < rounds; round++) {
      lab.progress(`builds, round ${round + 1} of ${rounds}`);
      cold.push(await time(round));
      cached.push(await time(round));
    }
    return [
      { what: 'build of 10 steps', unit: 'ms', samples: cold },
      { what: 'the same, all of it cached', unit: 'ms', samples: cached, aims: [{ at: 'p99', atMost: 1000 }] },
    ];
  },
};
