import { parseEgressPolicy } from '@soulbox/network/policy';
import { policyOf } from '../registry/network-policy.ts';
import type { TenantNetwork } from '../registry/record.ts';
import type { RunningSandbox } from '../registry/table.ts';
import { trustedAuthority } from '../processes/egress-authority.ts';
import { tellUpdated } from './operation-context.ts';
import type { OperationContext } from './operation-context.ts';

/**
 * Replaces the part of the network settings that concerns connections to the outside, after any step in progress. When
 * it resolves, the new policy is in effect and recorded. Throws `illegal_transition` for a paused sandbox, and the errors
 * of `parseEgressPolicy` with nothing changed. Throws `sandbox_unreachable` if the sandbox cannot be told whom to trust;
 * the policy is in effect then, and hosts with rules are refused.
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
    const { tenant, slot } = sandbox.record;
    const { allowPublicTraffic, maskRequestHost, identityTokens } = tenant.network;
    const network = { ...wanted, allowPublicTraffic, maskRequestHost, identityTokens };
    // Before the policy: a host with a rule is refused without it. A sandbox that stops its envd does not keep its old
    // policy by that.
    const trust = await trustedAuthority(context, sandbox.live.envd, { ...tenant, network }).catch(
      (error: unknown) => ({ error }),
    );
    const authority = 'error' in trust ? {} : trust;
    // Then the record: after a crash the next server sets the policy that it finds there.
    await table.update(sandbox, { tenant: { ...tenant, network, ...authority } });
    await host.network.setPolicy(slot, policyOf(sandbox.record));
    tellUpdated(context, sandbox);
    if ('error' in trust) throw trust.error;
    return sandbox;
  });
}
