import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { envdVersion } from '@soulbox/contract';
import { NetworkPolicySchema, SandboxSchema } from '@soulbox/contract/runner';
import type { NetworkPolicy, Sandbox } from '@soulbox/contract/runner';
import type { TenantNetwork } from './record.ts';
import type { TenantSandbox } from './table.ts';

/** The wire form of a sandbox, as spec/runner has it. */
export function sandboxToMessage({ record }: TenantSandbox): Sandbox {
  const { tenant } = record;
  return create(SandboxSchema, {
    sandboxId: record.sandboxId,
    teamId: tenant.teamId,
    templateId: record.templateId,
    alias: tenant.alias,
    startedAt: timestampFromMs(tenant.startedAtMs),
    endAt: timestampFromMs(tenant.endAtMs),
    cpuCount: record.cpuCount,
    memoryMb: record.memoryMb,
    diskSizeMb: record.diskMb,
    metadata: tenant.metadata,
    envdVersion,
    network: networkToMessage(tenant.network),
    envdAccessToken: tenant.envdAccessToken,
    trafficAccessToken: tenant.trafficAccessToken,
  });
}

function networkToMessage(network: TenantNetwork): NetworkPolicy {
  const { allowInternetAccess, allowPublicTraffic, ...rest } = network;
  return create(NetworkPolicySchema, {
    ...rest,
    ...(allowInternetAccess === undefined ? {} : { allowInternetAccess }),
    ...(allowPublicTraffic === undefined ? {} : { allowPublicTraffic }),
  });
}

/** The network part of a create request; absent means the defaults. */
export function networkFromMessage(policy: NetworkPolicy | undefined): TenantNetwork {
  return {
    allowInternetAccess: policy?.allowInternetAccess,
    allowOut: policy?.allowOut ?? [],
    denyOut: policy?.denyOut ?? [],
    allowPublicTraffic: policy?.allowPublicTraffic,
    maskRequestHost: policy?.maskRequestHost ?? '',
  };
}
