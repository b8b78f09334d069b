import { waitForEnvd } from './start-processes.ts';
import type { Clock } from '@soulbox/base';
import type { Live, TenantSandbox } from '../registry/table.ts';

/** A fresh envd on used files hears what the tenant's creator said, and clears what a reboot clears. */
export async function reinitialize(
  context: { readonly clock: Clock },
  sandbox: TenantSandbox,
  live: Live,
): Promise<void> {
  await waitForEnvd(live);
  await tellSettings(context, sandbox, live);
}

/** The same for an envd that answers already. */
export async function tellSettings(
  context: { readonly clock: Clock },
  { record }: TenantSandbox,
  live: Live,
): Promise<void> {
  const { settings, envdAccessToken } = record.tenant;
  await live.envd.init({
    ...settings,
    ...(envdAccessToken === '' ? {} : { accessToken: envdAccessToken }),
    timestamp: new Date(context.clock.now()).toISOString(),
    freshStart: true,
  });
}
