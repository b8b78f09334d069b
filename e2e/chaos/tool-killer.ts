import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from '@soulbox/base';
import type { KillCounts } from './killer.ts';
import type { Random } from './random.ts';

/** What the drivers write into the environment of every program they run for a sandbox (isolation/host/host-tool.ts). */
const mark = (instance: number): string => `SOULBOX_TOOL_FOR=soulbox-${String(instance)}-`;
const lookEveryMs = 15;
/** Of the moments at which such a program is seen. */
const killShare = 0.01;

/** A host program at work. */
interface Tool {
  readonly pid: number;
  readonly sandboxId: string;
}

/**
 * Kills criu, crun and the like with SIGKILL now and then, while they work for a sandbox. Notes whose they were: CRIU has code of
 * its own in the processes that it saves, and its sudden end can be the end of such a process.
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

/** The processes that runsc leaves are no tools: killed, they are the end of their sandbox, and they are always there to be seen. */
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
