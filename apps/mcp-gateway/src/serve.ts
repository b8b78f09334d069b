import { createHash, timingSafeEqual } from 'node:crypto';
import { serveMcp } from '@soulbox/mcp-http';
import type { McpHttpServer } from '@soulbox/mcp-http';
import { gatewayPath } from './config.ts';
import { createMergedServer } from './merged-server.ts';
import type { Upstream } from './upstream.ts';

/** Serves all servers together. Callers must show the token. */
export async function serve(
  upstreams: readonly Upstream[],
  { token, port, host }: { token: string; port: number; host: string },
): Promise<McpHttpServer> {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return await serveMcp({
    // There is only one token.
    ...{ host, port, path: gatewayPath, sessionsPerToken: 128 },
    accepts: (shown) => timingSafeEqual(digest(shown), digest(token)),
    openSession: async (_token, transport) => await createMergedServer(upstreams).connect(transport),
    faultText: 'The gateway failed. See its log for the reason.',
    onFault: (error) => void process.stderr.write(`${String(error)}\n`),
  });
}
