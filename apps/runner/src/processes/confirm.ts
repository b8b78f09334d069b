import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Live, TenantSandbox } from '../registry/table.ts';

/**
 * Tells envd that its memory came back, and waits until it has done what that asks for; nobody may reach the sandbox before.
 * Throws `sandbox_resume_failed`.
 */
export async function confirmResumed(
  context: { readonly clock: Clock },
  { record }: TenantSandbox,
  live: Live,
  isCopy: boolean,
): Promise<void> {
  const { tenant, sandboxId, generation } = record;
  const identity = isCopy ? { envVars: tenant.settings.envVars, accessToken: tenant.envdAccessToken } : {};
  const timestamp = new Date(context.clock.now()).toISOString();
  try {
    await live.envd.resumed({ sandboxId, generation, timestamp, isCopy, ...identity });
  } catch (cause) {
    throw new SoulBoxError(
      'sandbox_resume_failed',
      'The envd of the sandbox did not confirm its identity in time. The sandbox accepts no connections.',
      { cause },
    );
  }
}
