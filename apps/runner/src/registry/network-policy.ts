import type { EgressPolicy } from '@soulbox/network';
import type { HostRecord, Tenant, TenantNetwork } from './record.ts';

/** The policy of a sandbox, with those to whom the egress process attributes its connections. */
export interface SandboxPolicy extends EgressPolicy {
  readonly sandboxId: string;
  readonly teamId: string;
  readonly generation: string;
  readonly network: TenantNetwork;
  /** Signs what the sandbox sees of hosts with rules. */
  readonly authority: Tenant['authority'];
}

/** A spare, which has no tenant, has an open network that no program uses. */
export function policyOf({
  sandboxId,
  tenant,
  generation,
}: HostRecord): SandboxPolicy | Readonly<Record<string, never>> {
  if (tenant === undefined) return {};
  const { network, teamId, authority } = tenant;
  return { ...network, sandboxId, teamId, generation, network, authority };
}

/** Whether the policy has an owner. */
export function isSandboxPolicy(policy: EgressPolicy): policy is SandboxPolicy {
  return 'sandboxId' in policy;
}
