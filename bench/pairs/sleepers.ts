import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { readPhaseTotals } from '../phases.ts';
import type { PhaseTotals } from '../phases.ts';
import { askResident, fillMemory } from '../resident.ts';
import { timeMs } from '../time.ts';
import type { Contestant } from './contestant.ts';

const restMs = 1500;
const timeoutMs = 3_600_000;

/** Only pauses and resumes, of sandboxes with these amounts of memory. */
export async function openSleepers(server: ServerProcess, sizesMb: readonly number[]): Promise<Contestant> {
  const variable = (name: string): string => server.clientEnvironment[name] ?? '';
  const [apiUrl, sandboxUrl, apiKey] = [variable('E2B_API_URL'), variable('E2B_SANDBOX_URL'), variable('E2B_API_KEY')];
  const sandboxes = new Map<number, Sandbox>();
  for (const sizeMb of sizesMb) {
    const sandbox = await Sandbox.create('base', { apiUrl, sandboxUrl, apiKey, timeoutMs });
    await fillMemory(sandbox, sandboxUrl, sizeMb);
    sandboxes.set(sizeMb, sandbox);
  }
  let totals = await readPhaseTotals(server);
  const phasesOf = async (operation: string): Promise<[string, number][]> => {
    const before = totals;
    totals = await readPhaseTotals(server);
    return [...(totals.get(operation) ?? [])].map(([phase, { seconds }]) => [
      phase,
      (seconds - secondsOf(before, operation, phase)) * 1000,
    ]);
  };
  return {
    async round() {
      const found: Record<string, number> = {};
      const note = async (operation: string, sizeMb: number, act: () => Promise<void>): Promise<void> => {
        const what = `${operation}, ${sizeMb} MiB`;
        found[what] = await timeMs(act);
        // Also until its memory is loaded, and its checkpoint is removed.
        await sleep(restMs + 2 * sizeMb);
        for (const [phase, ms] of await phasesOf(operation)) found[`${what}: ${phase}`] = ms;
      };
      for (const [sizeMb, sandbox] of sandboxes) {
        await note('pause', sizeMb, async () => {
          await sandbox.pause();
        });
        await note('resume', sizeMb, async () => {
          await sandbox.connect({ timeoutMs });
          await askResident(sandboxUrl, sandbox.sandboxId);
        });
      }
      return found;
    },
  };
}

function secondsOf(totals: PhaseTotals, operation: string, phase: string): number {
  return totals.get(operation)?.get(phase)?.seconds ?? 0;
}
