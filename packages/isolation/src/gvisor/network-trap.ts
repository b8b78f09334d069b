import { CommandError } from '@soulbox/base';
import type { Host } from './host.ts';
import { openTrial } from './trial.ts';

/**
 * runsc before 2025 takes a network namespace for the host's if it sees this setting, which newer kernels show in every
 * namespace.
 */
const mistake = 'root network namespace';
/** runsc checks the network before it looks for the program, which does not exist. */
const program = '/missing';
const attempts = 3;

/**
 * Whether runsc refuses a network because it mistakes the sandbox's namespace for the host's. Takes about 150 ms.
 * Throws the error of the trial if it ended for another reason: a wrong answer would make every start fail for the
 * lifetime of the server.
 */
export async function findNetworkTrap(host: Host): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const error = await tryNetwork(host);
    const isTrap = isTrapped(error);
    if (isTrap !== undefined) return isTrap;
    if (attempt === attempts) throw error;
  }
}

/** What the end of the trial shows; undefined if runsc did not come that far, for instance because it was killed. */
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
