import { Secret } from '@soulbox/base';
import { serveMcp } from '@soulbox/mcp-http';
import type { McpHttpServer } from '@soulbox/mcp-http';
import { ApiError } from '../api/api-error.ts';
import { callApi } from '../api/call.ts';
import type { ApiConnection } from '../api/connection.ts';
import { createSession } from './create-session.ts';

export const mcpPath = '/mcp';

export interface HttpOptions {
  /** Its key is not used: each client sends its own. */
  readonly api: ApiConnection;
  readonly host: string;
  readonly port: number;
  readonly version: string;
}

/** Serves the tools over Streamable HTTP. The bearer token of a client is an API key or a personal token of the team. */
export async function serveHttp({ api, host, port, version }: HttpOptions): Promise<McpHttpServer> {
  const asCaller = (token: string): ApiConnection => ({ ...api, key: new Secret(token) });
  return await serveMcp({
    ...{ host, port, path: mcpPath, sessionsPerToken: 32 },
    accepts: async (token) => await isKey(asCaller(token)),
    openSession: async (token, transport) => await createSession(asCaller(token), version).connect(transport),
    faultText: 'SoulBox does not respond. The log of "soulbox mcp" has the reason.',
    onFault: (error) => console.error(error instanceof Error ? error.message : error),
  });
}

/** Whether the API knows the key. Throws when the API does not say so. */
async function isKey(api: ApiConnection): Promise<boolean> {
  try {
    await callApi(api, { path: '/v2/sandboxes', query: { limit: 1 } });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return false;
    // A key that may not read sandboxes may still run or create some.
    if (error.status === 403) return true;
    throw error;
  }
}
