import { CommandError } from '@soulbox/base';
import type { Host } from './host.ts';
import { openTrial } from './trial.ts';

/** runsc before 2025 takes a network namespace for the host's when it sees this setting, which newer kernels show in every one. */
const mistake = 'root network namespace';

/** Whether runsc refuses a network because it mistakes the sandbox's namespace for the host's. About 150 ms. */
export async function findNetworkTrap(host: Host): Promise<boolean> {
  // runsc looks at the network before it looks for the program.
  await using trial = await openTrial(host, { program: ['/missing'], settings: 'show' });
  try {
    await trial.runsc('run', '-detach');
  } catch (error) {
    return error instanceof CommandError && error.stderr.includes(mistake);
  }
  return false;
}
