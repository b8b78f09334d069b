import { parseEgressPolicy } from '@soulbox/network/policy';
import { beginUsage, countsBytes } from '../processes/egress-usage.ts';
import { trustedAuthority } from '../processes/egress-authority.ts';
import { policyOf } from '../registry/network-policy.ts';
import type { TenantNetwork } from '../registry/record.ts';
import type { RecordChange, RunningSandbox } from '../registry/table.ts';
import { tellUpdated } from './operation-context.ts';
import type { OperationContext } from './operation-context.ts';
import { enforceRecordLater, trustLater } from './retry-network.ts';

/**
 * Replaces the part of the network settings that concerns connections to the outside, after any step in progress. When
 * it resolves, the new policy is in effect and recorded. After an error the old one is in effect and recorded; if it
 * cannot be put back at once, that is tried until it succeeds. Throws `illegal_transition` for a paused sandbox,
 * `disk_full`, `host_not_ready`, and the errors of `parseEgressPolicy`.
 */
export async function setNetworkPolicy(
  context: OperationContext,
  sandboxId: string,
  wanted: TenantNetwork,
): Promise<RunningSandbox> {
  const { table, host } = context;
  parseEgressPolicy(wanted);
  return await table.alone(sandboxId, async () => {
    const sandbox = table.getRunning(sandboxId);
    const { tenant } = sandbox.record;
    const { allowPublicTraffic, maskRequestHost, httpsPorts, identityTokens } = tenant.network;
    const network = { ...wanted, allowPublicTraffic, maskRequestHost, httpsPorts, identityTokens };
    // Before the policy: a host with a rule is refused without it.
    const trust = await trustedAuthority(context, sandbox.live.envd, { ...tenant, network }).catch(
      (error: unknown) => ({ error }),
    );
    const authority = 'error' in trust ? {} : trust;
    const changed = { tenant: { ...tenant, network, ...authority } };
    const begins = countsBytes(changed) && !countsBytes(sandbox.record);
    await enforce(context, sandbox, { ...changed, ...(begins ? beginUsage(host.network, sandbox.record) : {}) });
    context.logBook.write(sandboxId, 'network policy changed', {}, 'network');
    tellUpdated(context, sandbox);
    if ('error' in trust) {
      // Not an error for the caller: a sandbox that stops its envd would keep its old policy by that.
      host.logger.warn({ err: trust.error, sandboxId }, 'sandbox does not trust its authority yet');
      trustLater(context, sandbox);
    }
    return sandbox;
  });
}

/**
 * The record comes last: the next server enforces what it says. So after a crash the old policy is in effect again, of
 * which the caller has heard nothing else, and no error needs the disk to put it back.
 */
async function enforce(context: OperationContext, sandbox: RunningSandbox, change: RecordChange): Promise<void> {
  const { table, host } = context;
  const { slot, sandboxId } = sandbox.record;
  try {
    await host.network.setPolicy(slot, policyOf({ ...sandbox.record, ...change }));
    await table.update(sandbox, change);
  } catch (error) {
    try {
      await host.network.setPolicy(slot, policyOf(sandbox.record));
    } catch (err) {
      host.logger.error({ err, sandboxId }, 'the old network policy could not be put back yet');
      enforceRecordLater(context, sandbox);
    }
    throw error;
  }
}
