import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from '@soulbox/base';
import type { KillCounts } from './killer.ts';
import type { Random } from './random.ts';

/** What the drivers write into the environment of every program they run for a sandbox (isolation/host/host-tool.ts). */
const mark = (instance: number): string => `SOULBOX_TOOL_FOR=soulbox-${String(instance)}-`;
const lookEveryMs = 15;
/** Of the moments at which such a program is seen. */
const killShare = 0.01;

/** Kills criu, crun and the like with SIGKILL now and then, while they work for a sandbox. */
export async function keepKillingTools(
  instance: number,
  random: Random,
  options: { counts: KillCounts; stop: AbortSignal },
): Promise<void> {
  while (!options.stop.aborted) {
    await sleep(lookEveryMs);
    for (const pid of listTools(instance)) {
      if (!random.chance(killShare)) continue;
      try {
        process.kill(pid, 'SIGKILL');
        options.counts.tools++;
      } catch {
        // It ended by itself.
      }
    }
  }
}

function listTools(instance: number): number[] {
  const pids = readdirSync('/proc').map(Number);
  return pids.filter((pid) => pid > 0 && readEnvironment(pid).includes(mark(instance)));
}

function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'latin1');
  } catch {
    return '';
  }
}
