import type { Lab } from '../lab.ts';
import type { Skipped } from '../measurement.ts';
import { openPodman } from '@soulbox/testing/engines';
import type { Engine } from '@soulbox/testing/engines';
import { openDocker } from './docker.ts';

/** The other engines that this host has. They end with the lab. */
export async function openEngines(lab: Lab): Promise<{ engines: readonly Engine[]; skipped: readonly Skipped[] }> {
  const engines: Engine[] = [];
  const skipped: Skipped[] = [];
  lab.progress('importing the base template into podman and docker');
  for (const open of [openPodman, openDocker]) {
    const engine = await open();
    if ('skipped' in engine) skipped.push(engine);
    else {
      lab.use(engine);
      engines.push(engine);
    }
  }
  return { engines, skipped };
}
