import type { Clock } from '@soulbox/base';
import { trustedAuthority } from '../processes/egress-authority.ts';
import type { SandboxHost } from '../processes/sandbox-host.ts';
import { policyOf } from '../registry/network-policy.ts';
import type { LiveSandbox, SandboxTable, TenantSandbox } from '../registry/table.ts';

interface TrustContext {
  readonly host: Pick<SandboxHost, 'network'>;
  readonly table: Pick<SandboxTable, 'update'>;
  readonly clock: Clock;
}

/**
 * Gives a new sandbox whose policy has rules the authority that it trusts, before anybody uses it. A fork keeps that of
 * its source, because programs in its memory have read it; both belong to one team. A sandbox of a snapshot gets its
 * own. Until then, hosts with rules are refused. Throws `sandbox_unreachable`.
 */
export async function trustOwnAuthority(context: TrustContext, sandbox: LiveSandbox & TenantSandbox): Promise<void> {
  const { tenant, slot } = sandbox.record;
  const kept = await trustedAuthority(context, sandbox.live.envd, tenant);
  if (kept.authority === tenant.authority) return;
  await context.table.update(sandbox, { tenant: { ...tenant, ...kept } });
  await context.host.network.setPolicy(slot, policyOf(sandbox.record));
}
