import { phase, SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Live, TenantSandbox } from '../registry/table.ts';
import { installAuthority } from './egress-authority.ts';
import { waitForEnvd } from './start-processes.ts';

interface TellContext {
  readonly clock: Clock;
}

/**
 * Waits for an envd that was started on used files, then gives it the tenant's settings. It clears what a reboot
 * clears.
 */
export async function reinitialize(context: TellContext, sandbox: TenantSandbox, live: Live): Promise<void> {
  await waitForEnvd(live);
  await tellSettings(context, sandbox, live);
}

/** Gives the tenant's settings to an envd that already answers. */
export async function tellSettings(context: TellContext, { record }: TenantSandbox, live: Live): Promise<void> {
  const { settings, envdAccessToken } = record.tenant;
  const init = {
    ...settings,
    ...(envdAccessToken === '' ? {} : { accessToken: envdAccessToken }),
    timestamp: new Date(context.clock.now()).toISOString(),
    freshStart: true,
  };
  await phase('confirm', async () => await live.envd.init(init));
  // Files may be those of a sandbox without it, and envd has forgotten its variables.
  if (record.tenant.authority !== undefined) await installAuthority(live.envd, record.tenant.authority);
}

/**
 * Tells envd that its memory was restored, and waits until envd has adapted to it. Nobody may reach the sandbox before.
 * Throws `sandbox_resume_failed`.
 */
export async function confirmResumed(
  context: TellContext,
  { record }: TenantSandbox,
  live: Live,
  isCopy: boolean,
): Promise<void> {
  const { tenant, sandboxId, generation } = record;
  const { envVars, logOutput = false } = tenant.settings;
  const identity = isCopy ? { envVars, accessToken: tenant.envdAccessToken, logOutput } : {};
  const timestamp = new Date(context.clock.now()).toISOString();
  try {
    const resumed = { sandboxId, generation, timestamp, isCopy, ...identity };
    await phase('confirm', async () => await live.envd.resumed(resumed));
  } catch (cause) {
    throw new SoulBoxError(
      'sandbox_resume_failed',
      'The envd of the sandbox did not confirm its identity in time. The sandbox accepts no connections.',
      { cause },
    );
  }
}
