import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@soulbox/base';
import { startWaitingTool } from '../../host/waiting-tool.ts';
import type { WaitingShells } from '../../host/waiting-shells.ts';
import { createWaitingShells } from '../../host/waiting-shells.ts';
import { placingVolumes } from '../../oci/volumes/place-volumes.ts';

const shellScript = fileURLToPath(new URL('criu-shell.sh', import.meta.url));

/** A volume, and the folder in which a shell puts it. */
export interface PlacedVolume {
  readonly folder: string;
  readonly mount: number;
}

/**
 * Shells that run CRIU's scripts. A start takes a third of the time of a restore. One for volumes that nobody else has a
 * path to does not wait: only a process that inherits a mount can place it.
 */
export type CriuShells = WaitingShells<readonly PlacedVolume[]>;

/** `spares`: how many wait. `beforeShell`: the words before the command of each, by default none. */
export function createCriuShells({
  logger,
  factsFile,
  spares,
  beforeShell = [],
}: {
  readonly logger: Logger;
  readonly factsFile: string;
  readonly spares: number;
  readonly beforeShell?: readonly string[];
}): CriuShells {
  return createWaitingShells({
    ...{ logger, spares, purpose: 'CRIU' },
    start(volumes = []) {
      mkdirSync(dirname(factsFile), { recursive: true });
      // What ends on the host ends in a shell too: one that waits keeps no disk of the host busy.
      const own = ['unshare', '--mount', '--propagation', 'slave', '--uts'];
      const placing = placingVolumes(volumes.map(({ folder }) => folder));
      const mounts = volumes.map(({ mount }) => mount);
      return startWaitingTool([...beforeShell, ...own, ...placing, 'sh', shellScript, factsFile], mounts);
    },
  });
}
