import { randomBytes } from 'node:crypto';
import type { Tenant } from '../../registry/record.ts';

/** The tenant of a copy: partly taken from the source, partly its own. `sandboxId` is the copy's. */
export function tenantOfCopy(source: Tenant, sandboxId: string, own: Partial<Tenant>, nowMs: number): Tenant {
  // Who made the source says nothing about the copy.
  const tenant = { ...source, keyId: '', creationId: '', startedAtMs: nowMs, ...own };
  const { settings } = tenant;
  return {
    ...tenant,
    endAtMs: nowMs + tenant.lifecycle.timeoutSeconds * 1000,
    envdAccessToken: freshToken(tenant.envdAccessToken),
    trafficAccessToken: freshToken(tenant.trafficAccessToken),
    settings: { ...settings, envVars: { ...settings.envVars, E2B_SANDBOX_ID: sandboxId, E2B_TEAM_ID: tenant.teamId } },
  };
}

/** A new token where the source has one. */
function freshToken(token: string): string {
  return token === '' ? '' : randomBytes(32).toString('hex');
}
