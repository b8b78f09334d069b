import { randomBytes } from 'node:crypto';
import type { Clock } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import type { Admission } from './admission.ts';
import type { SandboxHost } from './boot.ts';
import type { Pool } from './pool.ts';
import type { Tenant, TenantNetwork } from './record.ts';
import type { SandboxTable, TenantSandbox } from './table.ts';
import { isTenants } from './table.ts';

/** What a tenant asks for; already validated by the control plane. */
export interface CreateRequest {
  readonly teamId: string;
  readonly alias: string;
  readonly timeoutSeconds: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envVars: Readonly<Record<string, string>>;
  readonly network: TenantNetwork;
  readonly secure: boolean;
}

export interface CreateContext {
  readonly host: SandboxHost;
  readonly pool: Pool;
  readonly admission: Admission;
  readonly table: SandboxTable;
  readonly clock: Clock;
  /** Ends a sandbox whose claim failed half-way. */
  readonly abandon: (sandboxId: string) => Promise<void>;
}

/** Takes a warm sandbox and makes it the tenant's. The network is closed as asked before envd hears of the tenant. */
export async function createSandbox(
  context: CreateContext,
  template: Template,
  request: CreateRequest,
): Promise<TenantSandbox> {
  const { host, pool, table } = context;
  using _place = context.admission.enter();
  const sandbox = await pool.take(template);
  const { sandboxId, slot } = sandbox.record;
  try {
    const tenant = tenantFromRequest(request, context.clock.now());
    await table.step(sandbox, 'claiming', tenant);
    await host.network.setPolicy(slot, request.network);
    await sandbox.envd.init({
      envVars: globalVariables(request, sandboxId, template),
      ...(tenant.envdAccessToken === '' ? {} : { accessToken: tenant.envdAccessToken }),
      timestamp: new Date(context.clock.now()).toISOString(),
      defaultUser: template.defaultUser,
      defaultWorkdir: template.defaultWorkdir,
    });
    await table.step(sandbox, 'running');
    if (!isTenants(sandbox)) throw new Error('a claimed sandbox has no tenant');
    return sandbox;
  } catch (error) {
    await context.abandon(sandboxId);
    throw error;
  }
}

function tenantFromRequest(request: CreateRequest, nowMs: number): Tenant {
  return {
    teamId: request.teamId,
    alias: request.alias,
    startedAtMs: nowMs,
    endAtMs: nowMs + request.timeoutSeconds * 1000,
    metadata: { ...request.metadata },
    network: request.network,
    envdAccessToken: request.secure ? randomBytes(32).toString('hex') : '',
    trafficAccessToken: request.network.allowPublicTraffic === false ? randomBytes(32).toString('hex') : '',
  };
}

/** The variables every program inside sees: the template's, E2B's documented names, the tenant's own last. */
function globalVariables(request: CreateRequest, sandboxId: string, template: Template): Record<string, string> {
  return {
    ...template.environment,
    E2B_SANDBOX: 'true',
    E2B_SANDBOX_ID: sandboxId,
    E2B_TEMPLATE_ID: template.templateId,
    E2B_TEAM_ID: request.teamId,
    ...request.envVars,
  };
}
