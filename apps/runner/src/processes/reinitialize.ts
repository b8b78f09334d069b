import { waitForEnvd } from './start-processes.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { Live, TenantSandbox } from '../registry/table.ts';

/** A fresh envd on used files hears what the tenant's creator said, and clears what a reboot clears. */
export async function reinitialize(
  context: Pick<OperationContext, 'clock'>,
  sandbox: TenantSandbox,
  live: Live,
): Promise<void> {
  await waitForEnvd(live);
  await tellSettings(context, sandbox, live);
}

/** The same for an envd that answers already. */
export async function tellSettings(
  context: Pick<OperationContext, 'clock'>,
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
