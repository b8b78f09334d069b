import type { Dial } from '@soulbox/contract';
import { createPrograms, startPiped } from '@soulbox/envd-client';
import type { EnvdClient } from '@soulbox/envd-client';

/**
 * Lets the envd of a restored spare go through the call that will claim it. No program is started and nothing changes in
 * the sandbox, because its tenant is to find it as it was saved. It saves the claim about 3 ms. Never throws.
 */
export async function rehearseClaim(
  { envd }: Pick<Rehearsed, 'envd'>,
  { sandboxId, generation }: { readonly sandboxId: string; readonly generation: string },
): Promise<void> {
  const resumed = { sandboxId, generation, isCopy: true, timestamp: new Date().toISOString() };
  for (let round = 0; round < rounds; round++) if (!(await envd.rehearseResumed(resumed))) return;
}

interface Rehearsed {
  readonly dial: Dial;
  readonly envd: EnvdClient;
}

/** The code is compiled in the second round. */
const rounds = 2;
/** envd kills the process after this time, so that a template whose shell hangs does not delay the boot. */
const processTimeoutMs = 1000;

/** Like a tenant's first command, but without a login profile: the template's own scripts run only for tenants. */
const [program, args] = ['/bin/bash', ['-c', 'echo']] as const;

/**
 * Makes the calls to envd that a tenant makes first, so that code is compiled and files are cached before: a command by
 * E2B's protocol, and one by our own. It saves the tenant's calls about 10 ms. Never throws: a template may have no bash. envd's log entries about it are hidden from
 * the tenant, see log-book.ts.
 */
export async function rehearse({ dial, envd }: Rehearsed, defaultUser: string): Promise<void> {
  // JSON, as E2B clients use it.
  const programs = createPrograms(dial, '', 'json');
  try {
    for (let round = 0; round < rounds; round++) {
      await envd.init({ envVars: {}, timestamp: new Date().toISOString(), defaultUser });
      await programs.run({ command: program, args, timeoutMs: processTimeoutMs });
      await runPiped(dial);
    }
  } catch {
    // envd has booted and answers. Any other fault appears when the sandbox is used.
  } finally {
    programs.close();
  }
}

/** Nothing of the program is left: it is forgotten at its end. */
async function runPiped(dial: Dial): Promise<void> {
  const signal = AbortSignal.timeout(2 * processTimeoutMs);
  const piped = await startPiped(dial, '', { program, args, deadlineMs: processTimeoutMs, signal });
  for await (const _ of piped.readOutput());
}
