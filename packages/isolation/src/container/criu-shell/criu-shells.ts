import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@soulbox/base';
import type { ToolOptions } from '../../host/host-tool.ts';
import type { WaitingTool } from '../../host/waiting-tool.ts';
import { startWaitingTool } from '../../host/waiting-tool.ts';
import { placingVolumes } from '../../oci/volumes/place-volumes.ts';

const shellScript = fileURLToPath(new URL('criu-shell.sh', import.meta.url));
/** Whoever waits for a pause or a resume is about to go on, and a start takes some 20 ms of CPU. */
const refillDelayMs = 300;

/** A volume, and the folder in which a shell puts it. */
export interface PlacedVolume {
  readonly folder: string;
  readonly mount: number;
}

/** Shells that run CRIU's scripts, each one once. Some wait already: a start takes a third of the time of a restore. */
export interface CriuShells {
  /** Starts the missing ones. */
  fill(): void;
  /** Runs a script, with the volumes that nobody else has a path to. Throws the errors of `runHostTool`. */
  run(
    script: string,
    args: readonly string[],
    options: Pick<ToolOptions, 'tools' | 'signal' | 'timeoutMs' | 'onLine'> & {
      readonly volumes?: readonly PlacedVolume[];
    },
  ): Promise<void>;
}

/** `spares`: how many wait. They end with this process. */
export function createCriuShells({
  logger,
  factsFile,
  spares,
}: {
  readonly logger: Logger;
  readonly factsFile: string;
  readonly spares: number;
}): CriuShells {
  let waiting: WaitingTool[] = [];
  let isFilling = false;
  const start = (volumes: readonly PlacedVolume[] = []): WaitingTool => {
    mkdirSync(dirname(factsFile), { recursive: true });
    // What ends on the host ends in a shell too: one that waits keeps no disk of the host busy.
    const own = ['unshare', '--mount', '--propagation', 'slave', '--uts'];
    const placing = placingVolumes(volumes.map(({ folder }) => folder));
    const mounts = volumes.map(({ mount }) => mount);
    return startWaitingTool([...own, ...placing, 'sh', shellScript, factsFile], mounts);
  };
  const take = (): WaitingTool => {
    waiting = waiting.filter((shell) => shell.isWaiting);
    return waiting.shift() ?? start();
  };
  const shells: CriuShells = {
    fill() {
      if (isFilling) return;
      isFilling = true;
      setTimeout(() => {
        isFilling = false;
        waiting = waiting.filter((shell) => shell.isWaiting);
        try {
          while (waiting.length < spares) waiting.push(start());
        } catch (err) {
          logger.warn({ err }, 'a shell for CRIU could not be started ahead: the next pause or resume starts its own');
        }
      }, refillDelayMs).unref();
    },
    async run(script, args, { volumes = [], ...options }) {
      // Only a process that inherits the mounts can place them.
      const shell = volumes.length === 0 ? take() : start(volumes);
      try {
        await shell.begin([options.tools.traceName, script, ...args], options);
      } finally {
        shells.fill();
      }
    },
  };
  return shells;
}
