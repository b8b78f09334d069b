import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SandboxPolicySchema } from '@soulbox/contract/egress';
import type { NetworkPolicySchema } from '@soulbox/contract/runner';
import type { SandboxPolicy } from '../registry/network-policy.ts';
import type { TenantNetwork } from '../registry/record.ts';

/** What the egress process gets for the sandbox that the host sees under this address. */
export function policyForEgress(
  address: string,
  { sandboxId, teamId, generation, network, authority }: SandboxPolicy,
): MessageInitShape<typeof SandboxPolicySchema> & { readonly address: string } {
  const policy = policyToMessage(network);
  return { address, sandboxId, teamId, generation, policy, ...(authority === undefined ? {} : { authority }) };
}

/** The form of spec/runner, complete. */
export function policyToMessage(network: TenantNetwork): MessageInitShape<typeof NetworkPolicySchema> {
  const {
    allowInternetAccess,
    allowPublicTraffic,
    rules,
    egressProxy,
    limits,
    learn,
    identityTokens,
    httpsPorts,
    ...rest
  } = network;
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
    httpsPorts: httpsPorts ?? [],
    ...(identityTokens === undefined ? {} : { identityTokens }),
  };
}
