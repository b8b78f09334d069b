import { createPrograms } from '@soulbox/envd-client';
import type { Programs } from '@soulbox/envd-client';
import { envdPort, headers } from '@soulbox/contract';
import type { ApiConnection } from './connection.ts';

/** Connects to the envd of one sandbox through the gateway. */
export function openEnvd(api: ApiConnection, sandboxId: string, accessToken: string): Programs {
  const routing = { [headers.sandboxId]: sandboxId, [headers.sandboxPort]: String(envdPort) };
  return createPrograms({ url: api.sandboxUrl(sandboxId, envdPort), headers: routing }, accessToken);
}
