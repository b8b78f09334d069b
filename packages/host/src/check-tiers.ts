import { silentLogger } from '@soulbox/base';
import { defaultIsolation } from '@soulbox/contract';
import { createDrivers } from '@soulbox/isolation';
import type { Driver, DriverFinding, EnvdBundle } from '@soulbox/isolation';
import { findCriu } from './criu/find-criu.ts';
import type { Finding } from './finding.ts';
import { sameFix } from './finding.ts';

// What a probe makes has names of an instance; nobody is likely to run a server of the last one.
const instance = 14;

/**
 * What each driver proves about the wall it stands for. Apart from `runChecks`, because a driver may start sandboxes to prove
 * it, which takes some seconds: for doctor, not for every start. `runtime` is what they then run.
 */
export async function checkTiers(runtime: EnvdBundle): Promise<Finding[]> {
  const drivers = createDrivers({ logger: silentLogger, instance, criu: await findCriu() });
  return await Promise.all([...drivers.values()].map((driver) => checkTier(driver, runtime)));
}

async function checkTier(driver: Driver, runtime: EnvdBundle): Promise<Finding> {
  return judgeTier(driver.name, await driver.probe(runtime));
}

/** A proof is shown with what was seen; of the rest it is enough that it is there. */
function describe({ name, detail }: DriverFinding): string {
  return name.startsWith('wall') ? `${name} (${detail})` : name;
}

/** A wall stands when all that its driver looked at is as it must be. */
export function judgeTier(name: string, looked: readonly DriverFinding[]): Finding {
  const base = { id: `tier-${name}`, title: `Isolation "${name}"`, protects: `sandboxes with isolation ${name}` };
  const wrong = looked.filter(({ ok }) => !ok);
  if (wrong.length === 0) {
    return { ...base, status: 'ok', detail: `stands: ${looked.map(describe).join(', ')}` };
  }
  const detail = wrong.map((finding) => `${finding.name}: ${finding.detail}`).join('; ');
  // Without the default there are no sandboxes unless a caller chooses another tier.
  const status = name === defaultIsolation ? 'fail' : 'warn';
  return {
    ...base,
    status,
    detail,
    fix: sameFix('see the findings above; soulbox setup --install mends most of them'),
  };
}
