import { createPrograms } from '@soulbox/envd-client';
import type { EnvdClient } from '@soulbox/envd-client';
import type { Dial } from './dial.ts';

interface Rehearsed {
  readonly dial: Dial;
  readonly envd: EnvdClient;
}

/** The second time is what compiles it. */
const rounds = 2;
/** A template whose shell hangs is no reason to wait: envd kills the process then. */
const processTimeoutMs = 1000;

/** What a tenant's first command is, without the login profile: a template's own scripts run for nobody but a tenant. */
const firstCommand = { command: '/bin/bash', args: ['-c', 'echo'], timeoutMs: processTimeoutMs };

/**
 * Has envd do once what a tenant's first calls need of it, so that code is compiled and files are found before. It saves
 * them about 10 ms. Never throws: a template without bash is as good as any. What envd logs of it stays hidden from the
 * tenant, see log-book.ts.
 */
export async function rehearse({ dial, envd }: Rehearsed, defaultUser: string): Promise<void> {
  // As clients of E2B speak.
  const programs = createPrograms(dial, '', 'json');
  try {
    for (let round = 0; round < rounds; round++) {
      await envd.init({ envVars: {}, timestamp: new Date().toISOString(), defaultUser });
      await programs.run(firstCommand);
    }
  } catch {
    // It boots and answers; whatever is wrong shows when somebody uses it.
  } finally {
    programs.close();
  }
}
