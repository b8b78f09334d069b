import { silentLogger } from '@soulbox/base/logger';
import { defaultIsolation } from '@soulbox/contract';
import { createDrivers } from '@soulbox/isolation';
import type { Driver, DriverFinding, EnvdBundle } from '@soulbox/isolation';
import { findCriu } from './criu/find-criu.ts';
import type { Finding } from './finding.ts';
import { sameFix } from './finding.ts';

// A probe uses the names of an instance. Hardly anybody runs a server with the last instance number.
const instance = 14;

/**
 * Checks the isolation of each driver. This is separate from `runChecks`, because a driver may start sandboxes for its
 * proof, which takes some seconds: acceptable for doctor, not for every start. These sandboxes run with the envd bundle
 * `envdBundle`.
 */
export async function checkTiers(envdBundle: EnvdBundle): Promise<Finding[]> {
  const drivers = createDrivers({ logger: silentLogger, instance, criu: await findCriu() });
  return await Promise.all([...drivers.values()].map((driver) => checkTier(driver, envdBundle)));
}

async function checkTier(driver: Driver, envdBundle: EnvdBundle): Promise<Finding> {
  return judgeTier(driver.name, await driver.probe(envdBundle));
}

/** A proof of isolation is shown with its result. Other findings only need their name. */
function describe({ name, detail }: DriverFinding): string {
  return name.startsWith('isolation check') ? `${name} (${detail})` : name;
}

/** The isolation is ok if all findings of its driver are. */
export function judgeTier(name: string, looked: readonly DriverFinding[]): Finding {
  const base = { id: `tier-${name}`, title: `Isolation "${name}"`, protects: `sandboxes with isolation ${name}` };
  const wrong = looked.filter(({ ok }) => !ok);
  if (wrong.length === 0) {
    return { ...base, status: 'ok', detail: `works: ${looked.map(describe).join(', ')}` };
  }
  const detail = wrong.map((finding) => `${finding.name}: ${finding.detail}`).join('; ');
  // Without the default isolation no sandbox starts, unless a caller requests another one.
  const status = name === defaultIsolation ? 'fail' : 'warn';
  return {
    ...base,
    status,
    detail,
    fix: sameFix('see the findings above; soulbox setup --install fixes most of them'),
  };
}
