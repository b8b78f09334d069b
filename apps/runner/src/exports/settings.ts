import { z } from 'zod';
import { unusable } from '@soulbox/contract/export-file';
import { tenantSchema } from '../registry/record.ts';
import type { Tenant } from '../registry/record.ts';

/** Parts of a network policy that contain secrets of the team, or refer to them. */
const secretive = { rules: true, egressProxy: true, identityTokens: true } as const;

const { alias, metadata, network, lifecycle, settings } = tenantSchema.shape;

/** The tenant's part of a sandbox, without its owner and its tokens. */
const exportedSchema = z.strictObject({
  ...{ alias, metadata, lifecycle, settings },
  network: z.strictObject(network.omit(secretive).shape),
  /** Whether envd, and the ports, require a token. Every sandbox gets its own. */
  isSecure: z.boolean(),
  isPrivate: z.boolean(),
});

const maxBytes = 1024 * 1024;

/** Stands for a token, so that copies get one. */
const tokenStandIn = 'not kept';

export interface ExportedSettings {
  readonly settings: z.infer<typeof exportedSchema>;
  /** Names of the settings that are not in the file. */
  readonly leftOut: string[];
}

export function settingsFromTenant(tenant: Tenant): ExportedSettings {
  const { rules, egressProxy, identityTokens, ...kept } = tenant.network;
  const leftOut = Object.entries({ rules, egressProxy, identityTokens })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => `network.${name}`);
  const { envVars, ...rest } = tenant.settings;
  // Of this sandbox and this team. A copy gets its own.
  const { E2B_SANDBOX_ID: _, E2B_TEAM_ID: __, ...variables } = envVars;
  return {
    settings: {
      ...{ alias: tenant.alias, metadata: tenant.metadata, lifecycle: tenant.lifecycle, network: kept },
      settings: { ...rest, envVars: variables },
      isSecure: tenant.envdAccessToken !== '',
      isPrivate: tenant.trafficAccessToken !== '',
    },
    leftOut,
  };
}

/**
 * The tenant of an imported snapshot. Without the rules of its policy it may connect to nothing, because what they
 * restricted must not become open. Throws `export_unusable`.
 */
export function tenantFromSettings(given: unknown, leftOut: readonly string[], teamId: string, nowMs: number): Tenant {
  if (JSON.stringify(given ?? null).length > maxBytes) throw unusable('its settings are too large');
  const parsed = exportedSchema.safeParse(given);
  if (!parsed.success) throw unusable('its settings are of another version', parsed.error);
  const { isSecure, isPrivate, ...kept } = parsed.data;
  const closed = { ...kept.network, allowInternetAccess: false, allowOut: [], denyOut: [] };
  return {
    ...kept,
    ...{ teamId, keyId: '', creationId: '', startedAtMs: nowMs, endAtMs: nowMs },
    network: leftOut.length > 0 ? closed : kept.network,
    envdAccessToken: isSecure ? tokenStandIn : '',
    trafficAccessToken: isPrivate ? tokenStandIn : '',
  };
}
