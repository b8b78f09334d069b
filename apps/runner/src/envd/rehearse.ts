import { createPrograms } from '@soulbox/envd-client';
import type { EnvdClient } from '@soulbox/envd-client';
import type { Dial } from './dial.ts';

interface Rehearsed {
  readonly dial: Dial;
  readonly envd: EnvdClient;
}

/** The code is compiled in the second round. */
const rounds = 2;
/** envd kills the process after this time, so that a template whose shell hangs does not delay the boot. */
const processTimeoutMs = 1000;

/** Like a tenant's first command, but without a login profile: the template's own scripts run only for tenants. */
const firstCommand = { command: '/bin/bash', args: ['-c', 'echo'], timeoutMs: processTimeoutMs };

/**
 * Makes the calls to envd that a tenant makes first, so that code is compiled and files are cached before. It saves the
 * tenant's calls about 10 ms. Never throws: a template may have no bash. envd's log entries about it are hidden from
 * the tenant, see log-book.ts.
 */
export async function rehearse({ dial, envd }: Rehearsed, defaultUser: string): Promise<void> {
  // JSON, as E2B clients use it.
  const programs = createPrograms(dial, '', 'json');
  try {
    for (let round = 0; round < rounds; round++) {
      await envd.init({ envVars: {}, timestamp: new Date().toISOString(), defaultUser });
      await programs.run(firstCommand);
    }
  } catch {
    // envd has booted and answers. Any other fault appears when the sandbox is used.
  } finally {
    programs.close();
  }
}
