import { createPrograms } from '@soulbox/envd-client';
import type { EnvdTarget, Programs } from '@soulbox/envd-client';
import { envdPort, headers } from '@soulbox/contract';
import { sandboxTarget } from './call.ts';
import type { ApiConnection } from './connection.ts';

/** Connects to the envd of one sandbox through the gateway. */
export function openEnvd(api: ApiConnection, sandboxId: string, accessToken: string): Programs {
  return createPrograms(envdTarget(api, sandboxId), accessToken);
}

/** The envd of one sandbox behind the gateway. */
export function envdTarget(api: ApiConnection, sandboxId: string): EnvdTarget {
  const routing = { [headers.sandboxId]: sandboxId, [headers.sandboxPort]: String(envdPort) };
  const url = api.sandboxUrl(sandboxId, envdPort);
  return { url, headers: routing, target: sandboxTarget(url) };
}
