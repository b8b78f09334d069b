import type { ApiConnection } from './connection.ts';

/**
 * The URL of a path of a port, which must be signed unless the port is public: by its host name if the clients use
 * those, otherwise by a path, which needs no DNS. `path` begins with a slash.
 */
export function portUrl(api: ApiConnection, sandboxId: string, port: number, path: string): string {
  const base = api.sandboxUrl(sandboxId, port).replace(/\/+$/, '');
  const label = `${port}-${sandboxId}`;
  return new URL(base).host.startsWith(`${label}.`) ? base + path : `${base}/sandboxes-http/${label}${path}`;
}
