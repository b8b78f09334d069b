import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SandboxPolicySchema } from '@soulbox/contract/egress';
import type { NetworkPolicySchema } from '@soulbox/contract/runner';
import type { EgressPolicy } from '@soulbox/network';
import type { HostRecord, Tenant, TenantNetwork } from './record.ts';

/** The policy of a sandbox, with those to whom the egress process attributes its connections. */
export interface SandboxPolicy extends EgressPolicy {
  readonly sandboxId: string;
  readonly teamId: string;
  readonly network: TenantNetwork;
  /** Signs what the sandbox sees of hosts with rules. */
  readonly authority: Tenant['authority'];
}

/** A spare, which has no tenant, has an open network that no program uses. */
export function policyOf({ sandboxId, tenant }: HostRecord): SandboxPolicy | Readonly<Record<string, never>> {
  if (tenant === undefined) return {};
  const { network, teamId, authority } = tenant;
  return { ...network, sandboxId, teamId, network, authority };
}

/** Whether the policy has an owner. */
export function isSandboxPolicy(policy: EgressPolicy): policy is SandboxPolicy {
  return 'sandboxId' in policy;
}

/** What the egress process gets for the sandbox that the host sees under this address. */
export function policyForEgress(
  address: string,
  { sandboxId, teamId, network, authority }: SandboxPolicy,
): MessageInitShape<typeof SandboxPolicySchema> & { readonly address: string } {
  const policy = policyToMessage(network);
  return { address, sandboxId, teamId, policy, ...(authority === undefined ? {} : { authority }) };
}

/** The form of spec/runner, complete. */
export function policyToMessage(network: TenantNetwork): MessageInitShape<typeof NetworkPolicySchema> {
  const { allowInternetAccess, allowPublicTraffic, rules, egressProxy, limits, learn, identityTokens, ...rest } =
    network;
  return {
    ...rest,
    ...(allowInternetAccess === undefined ? {} : { allowInternetAccess }),
    ...(allowPublicTraffic === undefined ? {} : { allowPublicTraffic }),
    ...(rules === undefined ? {} : { rules }),
    ...(egressProxy === undefined ? {} : { egressProxy }),
    ...(limits === undefined
      ? {}
      : { limits: { ...limits, bytes: BigInt(limits.bytes), bytesPerSecond: BigInt(limits.bytesPerSecond) } }),
    learn: learn ?? false,
    ...(identityTokens === undefined ? {} : { identityTokens }),
  };
}
