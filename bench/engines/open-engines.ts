import type { Lab } from '../lab.ts';
import type { Skipped } from '../measurement.ts';
import { openDocker } from './docker.ts';
import type { Engine } from './engine.ts';
import { openPodman } from './podman.ts';

/** The other engines that this host has. They end with the lab. */
export async function openEngines(lab: Lab): Promise<{ engines: readonly Engine[]; skipped: readonly Skipped[] }> {
  const engines: Engine[] = [];
  const skipped: Skipped[] = [];
  for (const open of [openPodman, openDocker]) {
    const engine = await open(lab);
    if ('skipped' in engine) skipped.push(engine);
    else {
      lab.use(engine);
      engines.push(engine);
    }
  }
  return { engines, skipped };
}
