import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KillCounts } from './killer.ts';
import type { Random } from './random.ts';

/** A variable that drivers set for every program that they run for a sandbox (isolation/host/host-tool.ts). */
const mark = (instance: number): string => `SOULBOX_TOOL_FOR=soulbox-${String(instance)}-`;
const lookEveryMs = 15;
/** Share of the sightings of such a program that lead to a kill. */
const killShare = 0.01;

/** A running host program. */
interface Tool {
  readonly pid: number;
  readonly sandboxId: string;
}

/**
 * Sometimes kills criu, crun and similar programs with SIGKILL while they work for a sandbox. Notes their sandboxes,
 * because CRIU has its own code in the processes that it saves, and its sudden end can end such a process.
 */
export async function keepKillingTools(
  instance: number,
  random: Random,
  options: { counts: KillCounts; victims: Set<string>; stop: AbortSignal },
): Promise<void> {
  while (!options.stop.aborted) {
    await sleep(lookEveryMs);
    for (const { pid, sandboxId } of listTools(instance)) {
      if (!random.chance(killShare)) continue;
      try {
        process.kill(pid, 'SIGKILL');
        options.counts.tools++;
        options.victims.add(sandboxId);
      } catch {
        // It ended by itself.
      }
    }
  }
}

function listTools(instance: number): Tool[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
  return pids.flatMap((pid) => {
    const found = readWords(pid, 'environ').find((entry) => entry.startsWith(mark(instance)));
    if (found === undefined || isSandboxItself(readWords(pid, 'cmdline'))) return [];
    return [{ pid, sandboxId: found.slice(mark(instance).length) }];
  });
}

/**
 * The processes that runsc leaves running are not tools: they are always visible, and a kill would end their sandbox.
 */
function isSandboxItself([name = '']: readonly string[]): boolean {
  return name === 'runsc-gofer' || name === 'runsc-sandbox';
}

function readWords(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/${file}`, 'latin1').split('\0');
  } catch {
    return [];
  }
}
