import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { testTemplatesDirectory } from '@soulbox/testing';
import { startBuilds } from '../builds.ts';
import type { Measurement } from '../measurement.ts';

const rounds = 10;
const step = (type: string, ...args: string[]) => ({ type, args });

/**
 * Ten steps, seven of which change the disk. `round` makes them differ from those of another round, from the first step
 * on.
 */
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

export const build: Measurement = {
  name: 'build',
  async *run(lab) {
    await using builds = await startBuilds(lab);
    const base = await openTemplateStore(testTemplatesDirectory, silentLogger).find('base');
    const cold: number[] = [];
    const cached: number[] = [];
    for (let round = 0; round < rounds; round++) {
      lab.progress(`builds, round ${round + 1} of ${rounds}`);
      for (const samples of [cold, cached])
        samples.push(await builds.time({ baseTemplateId: base?.templateId, steps: stepsOf(round) }));
    }
    yield* [
      { what: 'build of 10 steps', unit: 'ms', samples: cold },
      { what: 'the same, all of it cached', unit: 'ms', samples: cached, aims: [{ at: 'p99', atMost: 1000 }] },
    ];
  },
};
