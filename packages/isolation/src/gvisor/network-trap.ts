import { CommandError } from '@soulbox/base';
import type { Host } from './host.ts';
import { openTrial } from './trial.ts';

/** runsc before 2025 takes a network namespace for the host's when it sees this setting, which newer kernels show in every one. */
const mistake = 'root network namespace';
/** It looks at the network before it looks for the program, which is not there. */
const program = '/missing';
const attempts = 3;

/**
 * Whether runsc refuses a network because it mistakes the sandbox's namespace for the host's. About 150 ms. Throws what ended the trial
 * when that was something else: a wrong answer would make every start fail for as long as the server lives.
 */
export async function findNetworkTrap(host: Host): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const error = await tryNetwork(host);
    const isTrap = isTrapped(error);
    if (isTrap !== undefined) return isTrap;
    if (attempt === attempts) throw error;
  }
}

/** What the end of the trial tells; undefined when runsc did not come so far, because it was killed for instance. */
export function isTrapped(error: unknown): boolean | undefined {
  if (!(error instanceof CommandError)) return undefined;
  if (error.stderr.includes(mistake)) return true;
  return error.stderr.includes(`failed to load ${program}`) ? false : undefined;
}

async function tryNetwork(host: Host): Promise<unknown> {
  await using trial = await openTrial(host, { program: [program], settings: 'show' });
  try {
    await trial.runsc('run', '-detach');
  } catch (error) {
    return error;
  }
  return new Error(`runsc started ${program}, which is not there`);
}
